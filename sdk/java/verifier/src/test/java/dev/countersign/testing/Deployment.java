package dev.countersign.testing;

import dev.countersign.Client;
import dev.countersign.ClientOptions;
import dev.countersign.Tokens;
import dev.countersign.Verifier;
import dev.countersign.VerifierOptions;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.net.HttpURLConnection;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Assumptions;

/** A real server with its database, its keys and a Redis. */
public final class Deployment {
  public static final String PASSWORD = "correct horse battery";

  private static final Pattern OPERATIONS = Pattern.compile("\"operations\":\"([^\"]+)\"");

  private final String binary;
  private final Path folder;
  private final int redisPort = freePort();
  private final int grpcPort = freePort();
  private final Map<String, String> environment = new HashMap<>();
  private final List<AutoCloseable> closing = new ArrayList<>();
  private Process redis;
  private Process server;

  /** The test is skipped, and fails under CI=true, where something is missing. */
  public Deployment(Map<String, String> more) throws Exception {
    binary =
        tool("COUNTERSIGN_BIN (the path of the server's binary)", System.getenv("COUNTERSIGN_BIN"));
    tool("redis-server", "redis-server");
    folder = Files.createTempDirectory("countersign-java");
    Path keys =
        Files.createDirectory(
            folder.resolve("keys"),
            // Keys are refused where others may read them.
            PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
    environment.put("COUNTERSIGN__DATABASE__URL", "sqlite://" + folder.resolve("countersign.db"));
    environment.put("COUNTERSIGN__REDIS__URL", "redis://127.0.0.1:" + redisPort);
    environment.put("COUNTERSIGN__KEYS__DIRECTORY", keys.toString());
    environment.put("COUNTERSIGN__GRPC__LISTEN", "127.0.0.1:" + grpcPort);
    environment.put("COUNTERSIGN__OPERATIONS__LISTEN", "127.0.0.1:0");
    environment.put("COUNTERSIGN__EDGE__ENABLED", "false");
    environment.put("COUNTERSIGN__LOG__FORMAT", "json");
    environment.put("COUNTERSIGN__SHUTDOWN__DRAIN_DELAY", "0s");
    environment.put("COUNTERSIGN__PASSWORDS__MEMORY_KIB", "64");
    environment.put("COUNTERSIGN__PASSWORDS__ITERATIONS", "1");
    environment.put("COUNTERSIGN__THROTTLE__ENABLED", "false");
    environment.putAll(more);
    startRedis();
    run("", "migrate");
    run("", "key", "generate", "--kind", "signing", "--activate-in", "0s");
    run("", "key", "generate", "--kind", "refresh", "--activate-in", "0s");
    run(PASSWORD + "\n", "user", "create", "ada", "--password-stdin");
    start();
  }

  public Deployment() throws Exception {
    this(Map.of());
  }

  /** The path of a program that a test needs. */
  public static String tool(String name, String path) {
    boolean isThere =
        path != null
            && !path.isEmpty()
            && Stream.concat(
                    Stream.of(path),
                    Stream.of(System.getenv("PATH").split(":")).map(each -> each + "/" + path))
                .anyMatch(each -> each.contains("/") && Files.isExecutable(Path.of(each)));
    if (!isThere) {
      if ("true".equals(System.getenv("CI"))) {
        throw new AssertionError(name + " is missing");
      }
      System.out.println("SKIPPED: " + name + " is missing");
      Assumptions.abort("SKIPPED: " + name + " is missing");
    }
    return path;
  }

  /** A port that nobody has at the moment. */
  public static int freePort() {
    try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      return socket.getLocalPort();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  public String endpoint() {
    return "http://127.0.0.1:" + grpcPort;
  }

  public Path folder() {
    return folder;
  }

  /** Runs a subcommand in the server's environment. */
  public void run(String input, String... arguments) throws Exception {
    List<String> command = new ArrayList<>(List.of(binary));
    command.addAll(List.of(arguments));
    ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
    builder.environment().putAll(environment);
    Process process = builder.start();
    process.getOutputStream().write(input.getBytes(StandardCharsets.UTF_8));
    process.getOutputStream().close();
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    if (process.waitFor() != 0) {
      throw new AssertionError(command + ": " + output);
    }
  }

  /** Starts a process that does not outlive the test, however that ends. */
  private static ProcessBuilder process(String... command) {
    List<String> whole = new ArrayList<>();
    if (Files.isExecutable(Path.of("/usr/bin/setpriv"))) {
      whole.addAll(List.of("/usr/bin/setpriv", "--pdeathsig", "KILL"));
    }
    whole.addAll(List.of(command));
    return new ProcessBuilder(whole);
  }

  /** Starts the server, and returns when it is ready. */
  public void start() throws Exception {
    ProcessBuilder builder = process(binary, "serve");
    builder.environment().putAll(environment);
    builder.redirectOutput(ProcessBuilder.Redirect.DISCARD);
    server = builder.start();
    BlockingQueue<String> operations = new LinkedBlockingQueue<>();
    List<String> log = new ArrayList<>();
    Process running = server;
    Thread reader =
        new Thread(
            () -> {
              try (BufferedReader lines =
                  new BufferedReader(
                      new InputStreamReader(running.getErrorStream(), StandardCharsets.UTF_8))) {
                for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                  Matcher address = OPERATIONS.matcher(line);
                  if (address.find()) {
                    operations.add(address.group(1));
                  } else if (log.size() < 50) {
                    log.add(line);
                  }
                }
              } catch (IOException e) {
                // The server was ended.
              }
            });
    reader.setDaemon(true);
    reader.start();
    String address = operations.poll(60, TimeUnit.SECONDS);
    if (address == null) {
      throw new AssertionError("the server does not listen: " + log);
    }
    Wait.until("the server is ready", () -> isReady(address));
  }

  private static boolean isReady(String address) {
    try {
      HttpURLConnection request =
          (HttpURLConnection) URI.create("http://" + address + "/readyz").toURL().openConnection();
      return request.getResponseCode() == 200;
    } catch (IOException e) {
      return false;
    }
  }

  public void startRedis() throws IOException {
    redis =
        process(
                "redis-server",
                "--port",
                "" + redisPort,
                "--bind",
                "127.0.0.1",
                "--save",
                "",
                "--dir",
                folder.toString())
            .redirectOutput(ProcessBuilder.Redirect.DISCARD)
            .redirectError(ProcessBuilder.Redirect.DISCARD)
            .start();
    Wait.until(
        "Redis listens",
        () -> {
          try (Socket socket = new Socket("127.0.0.1", redisPort)) {
            return socket.isConnected();
          } catch (IOException e) {
            return false;
          }
        });
  }

  public void kill() throws InterruptedException {
    server.destroyForcibly().waitFor();
  }

  public void killRedis() throws InterruptedException {
    redis.destroyForcibly().waitFor();
  }

  /** Stops the server with SIGSTOP, and returns when each of its threads stands still. */
  public void halt() throws Exception {
    signal("-STOP");
    Path threads = Path.of("/proc/" + server.pid() + "/task");
    Wait.until(
        "the server stands still",
        () -> {
          try (Stream<Path> all = Files.list(threads)) {
            return all.allMatch(
                thread -> {
                  try {
                    return Files.readString(thread.resolve("stat")).contains(") T ");
                  } catch (IOException e) {
                    return true;
                  }
                });
          } catch (IOException e) {
            return false;
          }
        });
  }

  public void goOn() throws Exception {
    signal("-CONT");
  }

  private void signal(String signal) throws Exception {
    if (new ProcessBuilder("kill", signal, "" + server.pid()).start().waitFor() != 0) {
      throw new AssertionError("kill " + signal);
    }
  }

  public Client client() {
    Client client = new Client(ClientOptions.builder(endpoint()).build());
    closing.add(client);
    return client;
  }

  public Tokens login(Client client) {
    return client.login("ada", PASSWORD);
  }

  public VerifierOptions.Builder options() {
    return VerifierOptions.builder(endpoint(), "countersign", "countersign")
        .maxBackoff(Duration.ofMillis(200));
  }

  /** A verifier that has loaded everything. */
  public Verifier verifier(VerifierOptions.Builder options) throws InterruptedException {
    Verifier verifier = Verifier.connect(options.build());
    closing.add(verifier);
    if (!verifier.awaitReady(Wait.PATIENCE)) {
      throw new AssertionError("a verifier is not ready");
    }
    return verifier;
  }

  public void close() throws Exception {
    for (AutoCloseable each : closing) {
      each.close();
    }
    if (server != null) {
      kill();
    }
    if (redis != null) {
      killRedis();
    }
    Files.walkFileTree(
        folder,
        new SimpleFileVisitor<>() {
          @Override
          public FileVisitResult visitFile(Path file, BasicFileAttributes attributes)
              throws IOException {
            Files.deleteIfExists(file);
            return FileVisitResult.CONTINUE;
          }

          @Override
          public FileVisitResult postVisitDirectory(Path visited, IOException error)
              throws IOException {
            Files.deleteIfExists(visited);
            return FileVisitResult.CONTINUE;
          }
        });
  }
}
