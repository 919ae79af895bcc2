"""The post office: takes orders off the topic and says so. Nobody asks it anything; its port only accepts."""

import os
import signal
import socketserver
import threading

from confluent_kafka import Consumer

WIRING = {part: os.environ[f"NEW_ORDERS_{part}"] for part in ("BOOTSTRAP_SERVERS", "GROUP", "TOPIC")}
TLS = {name: os.environ[f"NEW_ORDERS_TLS_{name}"] for name in ("CA", "CERT", "KEY")}

consumer = Consumer(
    {
        "bootstrap.servers": WIRING["BOOTSTRAP_SERVERS"],
        "group.id": WIRING["GROUP"],
        "security.protocol": "ssl",
        "ssl.ca.location": TLS["CA"],
        "ssl.certificate.location": TLS["CERT"],
        "ssl.key.location": TLS["KEY"],
        "auto.offset.reset": "earliest",
        "session.timeout.ms": 6000,  # one that was killed holds its partitions no longer than that
    }
)
leaving = []
signal.signal(signal.SIGTERM, lambda *_: leaving.append(True))
consumer.subscribe([WIRING["TOPIC"]])
socketserver.TCPServer.allow_reuse_address = True
door = socketserver.TCPServer(("127.0.0.1", int(os.environ["PORT"])), socketserver.BaseRequestHandler)
threading.Thread(target=door.serve_forever, daemon=True).start()
while not leaving:
    message = consumer.poll(0.5)
    if message is None:
        continue
    if message.error():
        print(message.error(), flush=True)
    else:
        print(f"{message.key().decode()} is on its way", flush=True)
consumer.close()
