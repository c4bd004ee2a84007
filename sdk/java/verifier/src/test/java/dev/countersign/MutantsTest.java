package dev.countersign;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.File;
import java.io.IOException;
import java.io.StringWriter;
import java.lang.reflect.Method;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import javax.tools.JavaCompiler;
import javax.tools.StandardJavaFileManager;
import javax.tools.ToolProvider;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;
import org.junit.jupiter.api.io.TempDir;

/**
 * Breaks each rule of the design's sections on Verify and on revocation, and expects the corpus to
 * notice. It takes a few seconds for each: {@code scripts/test-java mutants}, or for some rules
 * {@code mvn test -pl verifier -am -Dtest=MutantsTest -Dmutants='exp|iat'
 * -Dsurefire.failIfNoSpecifiedTests=false}.
 */
@EnabledIfSystemProperty(named = "mutants", matches = ".+")
class MutantsTest {
  /**
   * A rule that is broken on purpose.
   *
   * @param before what stands there once
   * @param after what is put in its place
   * @param caughtBy is in the name of a case that fails
   */
  private record Mutant(String rule, String file, String before, String after, String caughtBy) {}

  private static Mutant m(String rule, String file, String before, String after, String caughtBy) {
    return new Mutant(rule, file, before, after, caughtBy);
  }

  private static final List<Mutant> MUTANTS =
      List.of(
          // Size and shape.
          m("size cap", "Engine", "MAX_TOKEN_BYTES = 8192", "MAX_TOKEN_BYTES = 9000", "8193 bytes"),
          m(
              "three parts",
              "Jws",
              "int first = token.indexOf('.');",
              "String[] all = token.split(\"[.]\", -1);"
                  + " if (all.length > 3) { token = all[0] + '.' + all[1] + '.' + all[2]; }"
                  + " int first = token.indexOf('.');",
              "four parts"),
          m("no empty part", "Base64Url", "length == 0 || ", "", "an empty signature"),
          m("trailing bits", "Base64Url", "hasTrailingBits ||", "false &&", "trailing bits"),
          m(
              "no line breaks",
              "Base64Url",
              "int length = to - from;",
              "text = text.substring(from, to).replaceAll(\"[\\r\\n]\", \"\");"
                  + " from = 0; to = text.length(); int length = to - from;",
              "a line break after"),
          m("no name twice", "StrictJson", "!object.containsKey(name)", "true", "alg twice"),
          m(
              "UTF-8",
              "StrictJson",
              "return StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(bytes)).toString();",
              "StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.allocate(0));"
                  + " return new String(bytes, StandardCharsets.UTF_8);",
              "not UTF-8"),
          m(
              "no lone surrogates",
              "StrictJson",
              "expect(Character.isSurrogatePair(first, second));",
              "if (!Character.isSurrogatePair(first, second)) { return 63; }",
              "two halves that are no pair"),
          m("nesting is bounded", "StrictJson", "MAX_DEPTH = 127", "MAX_DEPTH = 100_000", "deep"),
          // The header.
          m("typ", "Jws", "return typ != null", "return typ != null || typ != null", "typ \"JWT\""),
          m(
              "alg of exactly the key",
              "Engine",
              "header.alg().equals(key.algorithm())",
              "true",
              "alg none"),
          m(
              "alg from the header alone",
              "Engine",
              "header.alg().equals(key.algorithm())",
              "List.of(\"EdDSA\", \"ES256\", \"RS256\").contains(header.alg())",
              "ES256 by the EdDSA key"),
          m(
              "kid names a key",
              "Engine",
              "require(header.kid() != null, InvalidReason.UNKNOWN_KEY);",
              "if (header.kid() == null) { header = new Jws.Header(header.typ(), header.alg(),"
                  + " trusted.keys().values().stream().filter(it ->"
                  + " it.algorithm().equals(jws.header().alg())).findFirst().get().id(),"
                  + " header.hasForbidden()); }",
              "no kid"),
          m("no crit, no key of its own", "Engine", "!header.hasForbidden()", "true", "crit"),
          // The signature.
          m(
              "a signature is this key's",
              "VerificationKey",
              "return verifier.verify(signature);",
              "return verifier.verify(signature) || signature.length >= 64;",
              "of another token"),
          m(
              "a signature of 64 bytes",
              "VerificationKey",
              "if (algorithm != Algorithm.RS256 && signature.length != 64) {",
              "if (algorithm != Algorithm.RS256 && signature.length > 64) {"
                  + " signature = Arrays.copyOf(signature, 64); }"
                  + " if (algorithm != Algorithm.RS256 && signature.length != 64) {",
              "a byte too many"),
          m(
              "RS256 with its own digest",
              "VerificationKey",
              "\"SHA256withRSA\"",
              "\"SHA512withRSA\"",
              "control"),
          // Claims.
          m(
              "a service is its own client",
              "Claims",
              "if (!sub.equals(members.remove(\"client_id\"))) {",
              "if (members.remove(\"client_id\") == null) {",
              "client_id"),
          m(
              "iss",
              "Engine",
              "claims.issuer().equals(issuer)",
              "true",
              "the issuer is one exact string"),
          m(
              "aud is required",
              "Engine",
              "if (!intersect(claims.token().audiences(), asked.isEmpty() ? audiences : asked)) {",
              "if (!asked.isEmpty() && !intersect(claims.token().audiences(), asked)) {",
              "no audience is never any audience"),
          m(
              "aud is exact",
              "Engine",
              "if (others.contains(some.get(i))) {",
              "String it = some.get(i); if (others.stream().anyMatch(it::equalsIgnoreCase)) {",
              "aud \"ORDERS\""),
          m(
              "exp without leeway",
              "Engine",
              "if (nowMillis >= claims.expiresAt() * 1000) {",
              "if (nowMillis >= claims.expiresAt() * 1000 + 5000) {",
              "exp -1 s"),
          m(
              "exp is the first moment",
              "Engine",
              "if (nowMillis >= claims.expiresAt() * 1000) {",
              "if (nowMillis > claims.expiresAt() * 1000) {",
              "at exp"),
          m("iat", "Engine", "claims.issuedAt() * 1000 > latest || ", "", "iat +6 s"),
          m("nbf", "Engine", " || claims.notBefore() * 1000 > latest", "", "nbf +6 s"),
          m("leeway", "Engine", "nowMillis + leewayMillis", "nowMillis", "iat +5 s"),
          m(
              "times are integers",
              "Claims",
              "if (members.remove(name) instanceof StrictJson.Num number && number.isWhole()) {",
              "if (members.remove(name) instanceof StrictJson.Num number) {"
                  + " int dot = number.text().indexOf('.');"
                  + " if (dot > 0) { return Long.parseLong(number.text().substring(0, dot)); }",
              "1700000900.0"),
          m("times are exact", "Claims", " || seconds > LARGEST_EXACT", "", "9007199254740993"),
          m(
              "no control characters",
              "Claims",
              "&& text.chars().noneMatch(Character::isISOControl)",
              "",
              "with NUL"),
          m(
              "one spelling of a user",
              "Id",
              "c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1",
              "Character.digit(c, 16)",
              "42424A"),
          m(
              "every claim is required",
              "Claims",
              "if (!(value instanceof List<?> values)) {",
              "if (value == null) { return List.of(); } if (!(value instanceof List<?> values)) {",
              "roles null"),
          // Revocation.
          m(
              "session",
              "Revocations",
              "if (shard(sessions, session).find(session) != IdTable.NONE) {",
              "if (false) {",
              "its session is revoked"),
          m(
              "epoch",
              "Revocations",
              "raised != IdTable.NONE && Long.compareUnsigned(epoch, raised) < 0",
              "raised < 0 && epoch < 0 && epoch > 0",
              "above the token's own"),
          m(
              "its own epoch is good",
              "Revocations",
              "Long.compareUnsigned(epoch, raised) < 0",
              "Long.compareUnsigned(epoch, raised) <= 0",
              "to the token's own"),
          m(
              "an epoch has 64 bits",
              "Revocations",
              "Long.compareUnsigned(epoch, raised) < 0",
              "epoch < raised",
              "epoch"),
          m(
              "revocation on a hit",
              "Engine",
              "return reason == null ? known.verified() : Verification.Invalid.of(reason);",
              "return reason == null || reason == InvalidReason.REVOKED"
                  + " ? known.verified() : Verification.Invalid.of(reason);",
              "stream snapshot-and-deltas"),
          m(
              "exp on a hit",
              "Engine",
              "return reason == null ? known.verified() : Verification.Invalid.of(reason);",
              "return reason == null || reason == InvalidReason.EXPIRED"
                  + " ? known.verified() : Verification.Invalid.of(reason);",
              "stream expires-while-remembered"),
          m(
              "a withdrawn key empties the cache",
              "TokenCache",
              "if (entry == null || entry.withdrawals != withdrawals || !areEqual(entry.token, token)) {",
              "if (entry == null || !areEqual(entry.token, token)) {",
              "stream key-withdrawn"),
          m(
              "an epoch never falls",
              "Revocations",
              "hasEpochs && Long.compareUnsigned(epoch, table.epochs()[place]) > 0",
              "hasEpochs && epoch != table.epochs()[place]",
              "stream epoch-never-falls"),
          m(
              "forgotten at its time",
              "Revocations",
              "purge(long nowMillis) {\n    for",
              "purge(long given) {\n    long nowMillis = given + 1;\n    for",
              "stream forgotten"),
          // Freshness.
          m(
              "counted from when the ping was sent",
              "Follower",
              "engine.freshness().recordAnswer(sent, ",
              "engine.freshness().recordAnswer(clock.monotonicNanos(), ",
              "stream heartbeat-late"),
          m(
              "the server's own staleness",
              "Follower",
              "recordAnswer(sent, seconds * 1_000_000_000 + age.getNanos())",
              "recordAnswer(sent, 0 * seconds)",
              "stream snapshot-and-deltas"),
          m(
              "only an echoed ping proves",
              "Follower",
              "if (sent == null) {",
              "if (sent == null) { sent = 0L; } if (false) {",
              "stream heartbeat-for-no-ping"),
          m(
              "the watermark",
              "Follower",
              "if (position == null\n",
              "if (false && position == null\n",
              "stream heartbeat-before-a-position"),
          m(
              "silence ends the stream",
              "Follower",
              "conversation.owesSince(monotonic) > patienceNanos",
              "conversation.owesSince(monotonic) > 1000 * patienceNanos",
              "stream silence"),
          m(
              "resynchronise begins anew",
              "StreamEnd",
              "RESYNCHRONISE(true)",
              "RESYNCHRONISE(false)",
              "stream resynchronise"),
          m("nonsense begins anew", "StreamEnd", "NONSENSE(true)", "NONSENSE(false)", "stream "),
          m(
              "a position is an incarnation's",
              "Follower",
              ".setIncarnation(conversation.incarnation())",
              ".setIncarnation(1)",
              "stream another-incarnation"),
          m(
              "the wall clock steps",
              "Freshness",
              "|| drift(wallMillis, monotonicNanos) > CLOCK_STEP_MILLIS",
              "",
              "stream clock-step"),
          m(
              "the bound",
              "Verifier",
              "staleness != Freshness.UNKNOWN && staleness <= maxStalenessNanos",
              "staleness != Freshness.UNKNOWN",
              "stream heartbeat-late"),
          m(
              "an unknown key in a stale view",
              "Verifier",
              "refused.reason() == InvalidReason.UNKNOWN_KEY && !fresh",
              "false",
              "stream key-unknown-while-stale"),
          m(
              "a view that was never loaded is not served from",
              "Verifier",
              "policy == OnStale.SERVE && staleness != Freshness.UNKNOWN",
              "policy == OnStale.SERVE",
              "stream "),
          // Keys.
          m(
              "RSA keys of 2048 bits and more",
              "VerificationKey",
              "MIN_RSA_BITS = 2048",
              "MIN_RSA_BITS = 1024",
              "an RSA key of 1024 bits"),
          m("a point on the curve", "VerificationKey", "isOnCurve(ec)", "true", "not on the curve"),
          m(
              "a key has one algorithm",
              "VerificationKey",
              "known.jose.equals(algorithmName)",
              "known.jose.equalsIgnoreCase(algorithmName)",
              "key as"));

  private static final Path SOURCES = Path.of("src/main/java/dev/countersign");

  @TempDir private Path folder;

  /** What the tests run with: jars apart from the folders of classes. */
  private static List<String> classPath() {
    return List.of(System.getProperty("java.class.path").split(File.pathSeparator));
  }

  /** Compiles a changed source file. */
  private Path compile(String file, String source) throws IOException {
    Path changed = Files.createTempDirectory(folder, "mutant");
    Path sources = Files.createDirectories(changed.resolve("src/dev/countersign"));
    Path classes = Files.createDirectory(changed.resolve("classes"));
    Files.writeString(sources.resolve(file + ".java"), source);
    JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
    StringWriter output = new StringWriter();
    try (StandardJavaFileManager files = compiler.getStandardFileManager(null, null, null)) {
      boolean isCompiled =
          compiler
              .getTask(
                  output,
                  files,
                  null,
                  List.of("-d", classes.toString(), "-cp", System.getProperty("java.class.path")),
                  null,
                  files.getJavaFileObjects(sources.resolve(file + ".java")))
              .call();
      assertTrue(isCompiled, () -> "does not compile: " + output);
    }
    return classes;
  }

  /** Plays the corpus to the classes of this module, some of them changed. */
  private static List<?> failures(Path changed) throws Exception {
    List<URL> ours = new ArrayList<>();
    List<URL> others = new ArrayList<>();
    if (changed != null) {
      ours.add(changed.toUri().toURL());
    }
    for (String entry : classPath()) {
      boolean isOurs = Path.of(entry).startsWith(Path.of("target").toAbsolutePath());
      (isOurs ? ours : others).add(Path.of(entry).toUri().toURL());
    }
    try (URLClassLoader libraries =
            new URLClassLoader(others.toArray(URL[]::new), ClassLoader.getPlatformClassLoader());
        URLClassLoader classes = new URLClassLoader(ours.toArray(URL[]::new), libraries)) {
      Method method = classes.loadClass("dev.countersign.Corpus").getDeclaredMethod("failures");
      method.setAccessible(true);
      Callable<List<?>> call = () -> (List<?>) method.invoke(null);
      FutureTask<List<?>> task = new FutureTask<>(call);
      Thread thread = new Thread(null, task, "mutant", 1 << 20);
      thread.setDaemon(true);
      thread.start();
      try {
        return task.get(5, TimeUnit.MINUTES);
      } catch (ExecutionException | TimeoutException e) {
        return List.of("it came to no end: " + e);
      }
    }
  }

  @Test
  void withoutAChangeNothingFails() throws Exception {
    assertEquals(List.of(), failures(null));
  }

  @TestFactory
  Stream<DynamicTest> everyMutantIsCaught() {
    String chosen = System.getProperty("mutants");
    Pattern rules = Pattern.compile(chosen.equals("true") ? "" : chosen);
    return MUTANTS.stream()
        .filter(mutant -> rules.matcher(mutant.rule()).find())
        .map(mutant -> DynamicTest.dynamicTest(mutant.rule(), () -> isCaught(mutant)));
  }

  private void isCaught(Mutant mutant) throws Exception {
    String source = Files.readString(SOURCES.resolve(mutant.file() + ".java"));
    int at = source.indexOf(mutant.before());
    assertTrue(at >= 0, () -> mutant.file() + " has not: " + mutant.before());
    assertEquals(
        at,
        source.lastIndexOf(mutant.before()),
        () -> mutant.file() + " has more than once: " + mutant.before());
    String changed =
        source.substring(0, at) + mutant.after() + source.substring(at + mutant.before().length());
    List<?> failures = failures(compile(mutant.file(), changed));
    assertTrue(
        failures.stream().anyMatch(it -> it.toString().contains(mutant.caughtBy())),
        () ->
            failures.isEmpty()
                ? "nothing notices"
                : failures.size()
                    + " notice, but not \""
                    + mutant.caughtBy()
                    + "\": "
                    + failures.get(0));
    System.out.printf("%s: %d failures%n", mutant.rule(), failures.size());
  }
}
