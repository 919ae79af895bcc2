"""A page in each store, by the driver that the wiring is made for: opened, asked and closed, like anybody would."""

import os

TIMEOUT_S = 5


def ledger():
    """PostgreSQL, by psycopg 3: the URL as it is."""
    import psycopg

    session = psycopg.connect(os.environ["LEDGER_PAGES_URL"], autocommit=True, connect_timeout=TIMEOUT_S)
    session.execute("CREATE TABLE IF NOT EXISTS page (key text PRIMARY KEY, value text)")
    return session


def put_ledger(key, value):
    """Committed, or an exception."""
    with ledger() as session:
        session.execute(
            "INSERT INTO page VALUES (%s, %s) ON CONFLICT (key) DO UPDATE SET value = excluded.value", (key, value)
        )


def get_ledger(key):
    """The value, or None."""
    with ledger() as session:
        row = session.execute("SELECT value FROM page WHERE key = %s", (key,)).fetchone()
    return row and row[0]


def bills():
    """MySQL, by PyMySQL: the parts."""
    import pymysql

    wiring = {part: os.environ[f"BILL_PAGES_{part}"] for part in ("HOST", "PORT", "USERNAME", "DATABASE")}
    tls = {f"ssl_{name}": os.environ[f"BILL_PAGES_TLS_{name.upper()}"] for name in ("ca", "cert", "key")}
    session = pymysql.connect(
        host=wiring["HOST"],
        port=int(wiring["PORT"]),
        user=wiring["USERNAME"],
        database=wiring["DATABASE"],
        autocommit=True,
        connect_timeout=TIMEOUT_S,
        read_timeout=TIMEOUT_S,
        ssl_verify_cert=True,
        ssl_verify_identity=True,
        **tls,
    )
    with session.cursor() as cursor:
        cursor.execute("CREATE TABLE IF NOT EXISTS page (id VARCHAR(100) PRIMARY KEY, value LONGTEXT)")
    return session


def put_bills(key, value):
    """Committed, or an exception."""
    with bills() as session, session.cursor() as cursor:
        cursor.execute("REPLACE INTO page VALUES (%s, %s)", (key, value))


def get_bills(key):
    """The value, or None."""
    with bills() as session, session.cursor() as cursor:
        cursor.execute("SELECT value FROM page WHERE id = %s", (key,))
        row = cursor.fetchone()
    return row and row[0]


def papers():
    """MongoDB, by pymongo: the URL as it is, whose database is the default one."""
    from pymongo import MongoClient

    wait = TIMEOUT_S * 1000
    return MongoClient(os.environ["PAPER_PAGES_URL"], serverSelectionTimeoutMS=wait, socketTimeoutMS=wait)


def put_papers(key, value):
    """Acknowledged, or an exception."""
    with papers() as client:
        client.get_default_database()["page"].replace_one({"_id": key}, {"value": value}, upsert=True)


def get_papers(key):
    """The value, or None."""
    with papers() as client:
        found = client.get_default_database()["page"].find_one({"_id": key})
    return found and found["value"]


def notes():
    """Redis, by redis-py: the URL as it is."""
    from redis import Redis

    return Redis.from_url(os.environ["QUICK_NOTES_URL"], decode_responses=True, socket_timeout=TIMEOUT_S)


def put_notes(key, value):
    """Acknowledged, or an exception. The key begins with the service's own prefix."""
    with notes() as client:
        client.set(f"{os.environ['QUICK_NOTES_PREFIX']}{key}", value)


def get_notes(key):
    """The value, or None."""
    with notes() as client:
        return client.get(f"{os.environ['QUICK_NOTES_PREFIX']}{key}")


def put_orders(key, value):
    """Kafka, by confluent-kafka: acknowledged by every replica in sync, or an exception."""
    from confluent_kafka import Producer

    told = []
    producer = Producer(
        {
            "bootstrap.servers": os.environ["NEW_ORDERS_BOOTSTRAP_SERVERS"],
            "security.protocol": "ssl",
            "ssl.ca.location": os.environ["NEW_ORDERS_TLS_CA"],
            "ssl.certificate.location": os.environ["NEW_ORDERS_TLS_CERT"],
            "ssl.key.location": os.environ["NEW_ORDERS_TLS_KEY"],
            "acks": "all",
            "message.timeout.ms": TIMEOUT_S * 1000,
        }
    )
    topic = os.environ["NEW_ORDERS_TOPIC"]
    producer.produce(topic, key=key, value=value, on_delivery=lambda error, _: told.append(error))
    producer.flush(TIMEOUT_S)
    if told != [None]:
        raise RuntimeError(str(told[0]) if told else "no answer")


PUT = {
    "ledger-pages": put_ledger,
    "bill-pages": put_bills,
    "paper-pages": put_papers,
    "quick-notes": put_notes,
    "new-orders": put_orders,
}
GET = {"ledger-pages": get_ledger, "bill-pages": get_bills, "paper-pages": get_papers, "quick-notes": get_notes}
