import de.bwaldvogel.mongo.MongoServer;
import de.bwaldvogel.mongo.MongoVersion;
import de.bwaldvogel.mongo.backend.QueryResult;
import de.bwaldvogel.mongo.backend.h2.H2Backend;
import de.bwaldvogel.mongo.bson.Document;
import de.bwaldvogel.mongo.exception.MongoServerError;
import de.bwaldvogel.mongo.wire.message.MongoQuery;
import io.netty.channel.Channel;
import io.netty.handler.ssl.ClientAuth;
import io.netty.handler.ssl.SslContext;
import io.netty.handler.ssl.SslContextBuilder;
import io.netty.handler.ssl.SslHandler;
import java.io.File;
import java.io.IOException;
import java.lang.reflect.Field;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.security.cert.X509Certificate;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import javax.net.ssl.SSLException;
import javax.net.ssl.SSLPeerUnverifiedException;
import org.h2.mvstore.MVStore;
import org.h2.mvstore.MVStoreException;

/**
 * A server that speaks MongoDB's protocol where there is no MongoDB, over TLS with client certificates alone.
 *
 * <p>Arguments: host, port, the file of the data, certificate, key, authorities, the file of grants. A line of grants
 * is {@code subject|database|access}; the access {@code admin} is for every database. The file is read again when it
 * changes, and asked for each command: a revoked grant ends at once, in open sessions, too. A renewed certificate is
 * shown from then on. What was answered is on disk.
 */
public final class StandIn extends H2Backend {
    private static final int LOOK_MS = 1000; // how often it is seen whether the certificate was renewed
    private static final int UNAUTHORIZED = 13;
    private static final int AUTHENTICATION_FAILED = 18;

    private static final Set<String> ANYBODY = Set.of("hello", "ismaster", "ping", "buildinfo", "endsessions", "logout");
    private static final Set<String> READS = Set.of(
            "find", "aggregate", "count", "distinct", "getmore", "killcursors", "listcollections", "listindexes",
            "dbstats", "collstats");
    private static final Set<String> WRITES = Set.of("insert", "update", "delete", "findandmodify");
    private static final Map<String, Integer> RANKS = Map.of("read", 1, "write", 2, "own", 3, "admin", 4);

    private final Path file;
    private final Map<String, Integer> granted = new ConcurrentHashMap<>();
    private FileTime read;

    private StandIn(String data, Path grants) {
        super(new MVStore.Builder().fileName(data).autoCommitDisabled().open());
        this.file = grants;
    }

    public static void main(String[] arguments) throws Exception {
        StandIn backend = new StandIn(arguments[2], Path.of(arguments[6]));
        backend.version(new Version());
        MongoServer server = new MongoServer(backend);
        var field = MongoServer.class.getDeclaredField("sslContext");
        field.setAccessible(true);
        Path issue = Path.of(arguments[3]).toRealPath();
        field.set(server, tls(arguments));
        server.bind(arguments[0], Integer.parseInt(arguments[1]));
        Runtime.getRuntime().addShutdownHook(new Thread(server::shutdownNow));
        while (true) {
            Thread.sleep(LOOK_MS);
            issue = renewed(server, field, arguments, issue);
        }
    }

    /** Which issue of its certificate the server shows to whoever comes now; those who are there already stay. */
    private static Path renewed(MongoServer server, Field field, String[] arguments, Path shown) throws Exception {
        try {
            Path issue = Path.of(arguments[3]).toRealPath();
            if (!issue.equals(shown)) {
                field.set(server, tls(arguments));
            }
            return issue;
        } catch (IOException | IllegalArgumentException problem) { // it was turned at this moment: soon it is whole
            return shown;
        }
    }

    private static SslContext tls(String[] arguments) throws SSLException {
        return SslContextBuilder.forServer(new File(arguments[3]), new File(arguments[4]))
                .trustManager(new File(arguments[5]))
                .clientAuth(ClientAuth.REQUIRE)
                .protocols("TLSv1.3")
                .build();
    }

    @Override
    public Document handleCommand(Channel channel, String database, String name, Document command) {
        String subject = subject(channel), known = name.toLowerCase();
        if (known.equals("authenticate")) {
            return authenticated(subject);
        }
        int needed = needed(known, command);
        if (needed > rank(subject, database)) {
            denied(subject, database, name, needed);
            throw new MongoServerError(
                    UNAUTHORIZED, "Unauthorized", "not authorized on " + database + " to execute command " + name);
        }
        try {
            Document answer = super.handleCommand(channel, database, name, command);
            if (needed > RANKS.get("read")) {
                commit();
            }
            return answer;
        } catch (MVStoreException problem) { // the disk is full, or worse: the store is of no use any more
            System.err.println(problem.getMessage());
            Runtime.getRuntime().halt(1); // nothing was answered; whoever starts it again finds what was
            throw problem;
        }
    }

    @Override
    public QueryResult handleQuery(MongoQuery query) {
        throw new MongoServerError(UNAUTHORIZED, "Unauthorized", "queries are commands");
    }

    /** A line of the log: when, who, where, what, and the access that would have allowed it. */
    private static void denied(String subject, String database, String name, int needed) {
        String access = RANKS.entrySet().stream().filter(rank -> rank.getValue() == needed).findFirst().get().getKey();
        Instant now = Instant.now().truncatedTo(ChronoUnit.MILLIS);
        System.err.println(now + " denied|" + subject + "|" + database + "|" + name + "|" + access);
    }

    private Document authenticated(String subject) {
        Collection<String> holders = grants().keySet();
        if (holders.stream().noneMatch(key -> key.startsWith(subject + "|"))) {
            denied(subject, "$external", "authenticate", RANKS.get("read"));
            throw new MongoServerError(AUTHENTICATION_FAILED, "AuthenticationFailed", "Authentication failed.");
        }
        return new Document("dbname", "$external").append("user", subject).append("ok", 1.0);
    }

    private static int needed(String name, Document command) {
        if (ANYBODY.contains(name)) {
            return 0;
        }
        if (name.equals("aggregate") && command.get("pipeline") instanceof Collection<?> stages) {
            boolean writes = stages.stream().anyMatch(
                    stage -> stage instanceof Document of && (of.containsKey("$out") || of.containsKey("$merge")));
            return RANKS.get(writes ? "admin" : "read"); // either may name another database
        }
        return RANKS.get(READS.contains(name) ? "read" : WRITES.contains(name) ? "write" : "own");
    }

    private int rank(String subject, String database) {
        Map<String, Integer> all = grants();
        return Math.max(all.getOrDefault(subject + "|" + database, 0), all.getOrDefault(subject + "|*", 0));
    }

    private synchronized Map<String, Integer> grants() {
        try {
            FileTime changed = Files.getLastModifiedTime(file);
            if (!changed.equals(read)) {
                granted.clear();
                for (String line : Files.readAllLines(file)) {
                    String[] parts = line.split("\\|");
                    granted.merge(parts[0] + "|" + parts[1], RANKS.get(parts[2]), Math::max);
                }
                read = changed;
            }
        } catch (IOException problem) {
            granted.clear(); // nobody, rather than whoever was there before
            read = null;
        }
        return Map.copyOf(granted);
    }

    private static String subject(Channel channel) {
        try {
            var session = channel.pipeline().get(SslHandler.class).engine().getSession();
            return ((X509Certificate) session.getPeerCertificates()[0]).getSubjectX500Principal().getName();
        } catch (SSLPeerUnverifiedException problem) {
            return "";
        }
    }

    /** What current drivers ask for at least. */
    private record Version() implements MongoVersion {
        @Override
        public List<Integer> getVersionArray() {
            return List.of(5, 0, 0);
        }

        @Override
        public int getWireVersion() {
            return 13;
        }
    }
}
