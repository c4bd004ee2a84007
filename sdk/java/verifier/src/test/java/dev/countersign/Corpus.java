package dev.countersign;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import com.google.gson.JsonPrimitive;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.util.JsonFormat;
import dev.countersign.testing.SteppedClock;
import dev.countersign.v1.WatchPing;
import dev.countersign.v1.WatchPosition;
import dev.countersign.v1.WatchRevocationsResponse;
import dev.countersign.v1.WatchStart;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.math.BigDecimal;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;

/** What sdk/conformance holds a verifier to. Each method answers with what is not as it must be. */
final class Corpus {
  private static final Path FOLDER = Path.of(System.getProperty("corpus", "../../conformance"));

  private Corpus() {}

  static List<JsonObject> lines(String file) {
    try {
      return Files.readAllLines(FOLDER.resolve(file)).stream()
          .map(line -> JsonParser.parseString(line).getAsJsonObject())
          .toList();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  static JsonObject jwks() {
    try {
      return JsonParser.parseString(Files.readString(FOLDER.resolve("jwks.json")))
          .getAsJsonObject();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** All of it. */
  static List<String> failures() {
    List<String> failures = new ArrayList<>(keys());
    failures.addAll(tokens());
    for (JsonObject script : lines("streams.jsonl")) {
      failures.addAll(stream(script));
    }
    return failures;
  }

  private static VerificationKey keyOf(JsonObject line) throws GeneralSecurityException {
    return VerificationKey.parse(
        line.get("id").getAsString(),
        line.get("algorithm").getAsString(),
        Base64.getDecoder().decode(line.get("spki").getAsString()));
  }

  static List<String> keys() {
    List<String> failures = new ArrayList<>();
    for (JsonObject line : lines("keys.jsonl")) {
      boolean trusted;
      try {
        trusted = keyOf(line) != null;
      } catch (GeneralSecurityException e) {
        trusted = false;
      }
      if (trusted != line.get("trusted").getAsBoolean()) {
        failures.add(line.get("name").getAsString() + ": trusted: " + trusted);
      }
    }
    return failures;
  }

  /** The keys of the corpus' tokens, by their id. */
  static Map<String, VerificationKey> trustedKeys() {
    Map<String, VerificationKey> keys = new HashMap<>();
    for (JsonObject line : lines("keys.jsonl")) {
      if (line.get("trusted").getAsBoolean()) {
        try {
          keys.putIfAbsent(line.get("id").getAsString(), keyOf(line));
        } catch (GeneralSecurityException e) {
          // It is among the failures of keys().
        }
      }
    }
    return keys;
  }

  static List<String> tokens() {
    List<String> failures = new ArrayList<>();
    Map<String, VerificationKey> all = trustedKeys();
    for (JsonObject line : lines("tokens.jsonl")) {
      Engine engine = engineFor(line, all);
      // The second time a good token is in the cache.
      for (String time : List.of("first", "second")) {
        String answer;
        try {
          answer =
              written(
                  engine.verify(
                      line.get("token").getAsString(),
                      texts(line.get("audiences")),
                      line.get("now_ms").getAsLong()));
        } catch (RuntimeException | StackOverflowError e) {
          answer = e.toString();
        }
        String expected = canonical(line.get("expect"));
        if (!answer.equals(expected)) {
          failures.add(
              line.get("name").getAsString()
                  + ", the "
                  + time
                  + " time: "
                  + answer
                  + ", expected "
                  + expected);
        }
      }
    }
    return failures;
  }

  private static Engine engineFor(JsonObject line, Map<String, VerificationKey> all) {
    Engine engine =
        new Engine(
            line.get("issuer").getAsString(),
            texts(line.get("default_audiences")),
            line.get("leeway_ms").getAsLong(),
            64);
    Map<String, VerificationKey> keys = new HashMap<>();
    for (String id : texts(line.get("keys"))) {
      if (all.containsKey(id)) {
        keys.put(id, all.get(id));
      }
    }
    engine.trust(new KeySet(keys, 0));
    JsonObject revoked = line.getAsJsonObject("revoked");
    for (String session : texts(revoked.get("sessions"))) {
      engine.revocations().revokeSession(Id.parseSession(session), Long.MAX_VALUE);
    }
    for (JsonElement user : revoked.getAsJsonArray("users")) {
      engine
          .revocations()
          .raiseEpoch(
              Id.parseUser(user.getAsJsonObject().get("subject").getAsString()),
              Long.parseUnsignedLong(user.getAsJsonObject().get("epoch").getAsString()),
              Long.MAX_VALUE);
    }
    return engine;
  }

  static List<String> texts(JsonElement array) {
    List<String> texts = new ArrayList<>();
    array.getAsJsonArray().forEach(each -> texts.add(each.getAsString()));
    return texts;
  }

  /** An answer as the corpus writes it. */
  private static String written(Verification verification) {
    JsonObject answer = new JsonObject();
    if (verification instanceof Verification.Invalid invalid) {
      answer.addProperty("invalid", invalid.reason().name());
    } else if (verification instanceof Verification.Verified verified) {
      answer.add("verified", written(verified.token()));
    }
    return canonical(answer);
  }

  private static JsonObject written(Token token) {
    JsonObject identity = new JsonObject();
    identity.addProperty("subject", token.subject());
    identity.addProperty("username", token.username());
    identity.addProperty("session_id", token.sessionId());
    identity.add("roles", json(token.roles()));
    identity.add("audiences", json(token.audiences()));
    identity.addProperty("token_id", token.tokenId());
    identity.addProperty("issued_at", token.issuedAt().getEpochSecond());
    identity.addProperty("expires_at", token.expiresAt().getEpochSecond());
    identity.addProperty("auth_time", token.authTime().getEpochSecond());
    identity.add("amr", json(token.amr()));
    identity.addProperty("epoch", new BigDecimal(Long.toUnsignedString(token.epoch())));
    identity.addProperty("session_expires_at", token.sessionExpiresAt().getEpochSecond());
    identity.add("custom_claims", json(token.customClaims()));
    if (token.subjectKind() == SubjectKind.SERVICE) {
      identity.addProperty("subject_kind", "service");
    }
    token.externalId().ifPresent(id -> identity.addProperty("external_id", id));
    return identity;
  }

  private static JsonElement json(Object value) {
    if (value instanceof Map<?, ?> members) {
      JsonObject object = new JsonObject();
      members.forEach((name, member) -> object.add((String) name, json(member)));
      return object;
    }
    if (value instanceof List<?> values) {
      JsonArray array = new JsonArray();
      values.forEach(each -> array.add(json(each)));
      return array;
    }
    if (value instanceof Number number) {
      return new JsonPrimitive(number);
    }
    if (value instanceof Boolean bool) {
      return new JsonPrimitive(bool);
    }
    return value == null ? com.google.gson.JsonNull.INSTANCE : new JsonPrimitive((String) value);
  }

  /** One text for equal values: members in order, numbers by their value. */
  private static String canonical(JsonElement value) {
    if (value.isJsonObject()) {
      Map<String, String> members = new TreeMap<>();
      value
          .getAsJsonObject()
          .entrySet()
          .forEach(it -> members.put(it.getKey(), canonical(it.getValue())));
      return members.toString();
    }
    if (value.isJsonArray()) {
      List<String> values = new ArrayList<>();
      value.getAsJsonArray().forEach(each -> values.add(canonical(each)));
      return values.toString();
    }
    if (value.isJsonPrimitive() && value.getAsJsonPrimitive().isNumber()) {
      return value.getAsBigDecimal().stripTrailingZeros().toString();
    }
    return value.toString();
  }

  static List<String> stream(JsonObject script) {
    Player player = new Player(script);
    String name = "stream " + script.get("name").getAsString();
    int number = 0;
    for (JsonElement step : script.getAsJsonArray("steps")) {
      number++;
      try {
        player.play(step.getAsJsonObject());
      } catch (AssertionError | IOException | RuntimeException e) {
        return List.of(name + ", step " + number + ": " + e);
      }
    }
    return List.of();
  }

  /** Plays a script to a verifier that has no connection. */
  private static final class Player {
    private static final Set<String> MEMBERS =
        Set.of(
            "connect",
            "tell",
            "on_revoked",
            "ping",
            "ends",
            "ask_position",
            "positions",
            "lost",
            "advance_ms",
            "step_wall_clock_ms",
            "purge",
            "expect");

    private final SteppedClock clock;
    private final Verifier verifier;
    private final Follower follower;
    private final JsonObject tokens;
    private final List<Long> nonces = new ArrayList<>();
    private final List<Positions.Question> waiting = new ArrayList<>();
    private final Set<Revocation> told = new HashSet<>();
    private Conversation conversation;

    Player(JsonObject script) {
      clock = new SteppedClock(script.get("start_ms").getAsLong());
      tokens = script.getAsJsonObject("tokens");
      verifier =
          new Verifier(
              VerifierOptions.builder(
                      "http://localhost:1",
                      script.get("issuer").getAsString(),
                      texts(script.get("default_audiences")).toArray(String[]::new))
                  .maxStaleness(Duration.ofMillis(script.get("max_staleness_ms").getAsLong()))
                  .patience(Duration.ofMillis(script.get("patience_ms").getAsLong()))
                  .clock(clock)
                  .onRevoked(told::add)
                  .build());
      follower = verifier.follower();
    }

    private static void require(boolean holds, Object otherwise) {
      if (!holds) {
        throw new AssertionError(otherwise);
      }
    }

    void play(JsonObject step) throws IOException {
      require(MEMBERS.containsAll(step.keySet()), "an unknown member: " + step.keySet());
      if (step.has("connect")) {
        connect(step.getAsJsonObject("connect"));
      } else if (step.has("tell")) {
        tell(step);
      } else if (step.has("ask_position")) {
        Positions.Question question =
            new Positions.Question(step.get("ask_position").getAsString());
        WatchPing ping = conversation.ask(question);
        require(ping.getAtLeast().equals(question.position()), ping);
        waiting.add(question);
        sent(ping, step);
      } else if (step.has("ping")) {
        ping(step);
      } else if (step.has("lost")) {
        end(new StreamEnd(StreamEnd.Why.LOST, "lost"));
        answerPositions(step);
      } else if (step.has("advance_ms")) {
        clock.advance(Duration.ofMillis(step.get("advance_ms").getAsLong()));
      } else if (step.has("step_wall_clock_ms")) {
        clock.stepWallClock(Duration.ofMillis(step.get("step_wall_clock_ms").getAsLong()));
      } else if (step.has("purge")) {
        verifier.engine().revocations().purge(clock.wallMillis());
      } else if (step.has("expect")) {
        expect(step.getAsJsonObject("expect"));
      } else {
        throw new AssertionError("not known");
      }
    }

    private void connect(JsonObject expected) throws InvalidProtocolBufferException {
      WatchStart start = follower.start();
      conversation = follower.converse();
      nonces.clear();
      WatchStart.Builder wanted = WatchStart.newBuilder();
      if (!expected.get("resume").isJsonNull()) {
        WatchPosition.Builder position = WatchPosition.newBuilder();
        JsonFormat.parser().merge(expected.get("resume").toString(), position);
        wanted.setResume(position);
      }
      require(start.equals(wanted.build()), "resumes at " + start);
    }

    private void end(StreamEnd end) {
      follower.end(end);
      conversation.giveUp();
      conversation = null;
    }

    /** Holds the step to whether the stream goes on. */
    private void ended(StreamEnd end, JsonObject step) {
      String expected = step.has("ends") ? step.get("ends").getAsString() : "";
      String got = end == null ? "" : end.why().name().toLowerCase(java.util.Locale.ROOT);
      require(got.equals(expected), "ends with \"" + got + "\", expected \"" + expected + "\"");
      if (end != null) {
        end(end);
      }
      answerPositions(step);
    }

    private void answerPositions(JsonObject step) {
      JsonObject found = new JsonObject();
      waiting.removeIf(
          question -> {
            if (question.answered() == null) {
              return false;
            }
            found.addProperty(question.position(), question.answered());
            return true;
          });
      JsonObject expected =
          step.has("positions") ? step.getAsJsonObject("positions") : new JsonObject();
      require(found.equals(expected), "positions " + found + ", expected " + expected);
    }

    private void sent(WatchPing ping, JsonObject step) {
      nonces.add(ping.getNonce());
      require(
          !step.get("ping").isJsonNull() && step.get("ping").getAsInt() == nonces.size(),
          "ping " + nonces.size());
    }

    private void ping(JsonObject step) {
      try {
        WatchPing ping = follower.ping(conversation);
        sent(ping, step);
        ended(null, step);
      } catch (StreamEnd e) {
        ended(e, step);
      }
    }

    private void tell(JsonObject step) throws InvalidProtocolBufferException {
      WatchRevocationsResponse.Builder message = WatchRevocationsResponse.newBuilder();
      JsonFormat.parser().merge(step.get("tell").toString(), message);
      if (message.hasHeartbeat()) {
        long number = message.getHeartbeat().getNonce();
        if (number >= 1 && number <= nonces.size()) {
          message.getHeartbeatBuilder().setNonce(nonces.get((int) number - 1));
        }
      }
      told.clear();
      StreamEnd end = null;
      try {
        follower.takeIn(message.build(), conversation);
      } catch (StreamEnd e) {
        end = e;
      }
      ended(end, step);
      Set<Revocation> expected = new HashSet<>();
      if (step.has("on_revoked")) {
        for (JsonElement each : step.getAsJsonArray("on_revoked")) {
          JsonObject revocation = each.getAsJsonObject();
          expected.add(
              revocation.has("session_id")
                  ? new Revocation.OfSession(revocation.get("session_id").getAsString())
                  : new Revocation.OfUser(
                      revocation.get("subject").getAsString(),
                      Long.parseUnsignedLong(revocation.get("epoch").getAsString())));
        }
      }
      require(told.equals(expected), "tells of " + told + ", expected " + expected);
    }

    private void expect(JsonObject expected) {
      require(verifier.isReady() == expected.get("ready").getAsBoolean(), "ready");
      JsonElement staleness = expected.get("staleness_ms");
      Long wanted = staleness.isJsonNull() ? null : staleness.getAsLong();
      Long got = verifier.staleness().map(Duration::toMillis).orElse(null);
      require(java.util.Objects.equals(got, wanted), "staleness " + got + ", expected " + wanted);
      expected
          .getAsJsonObject("answers")
          .entrySet()
          .forEach(
              answers -> {
                String token = tokens.get(answers.getKey()).getAsString();
                JsonObject policies = answers.getValue().getAsJsonObject();
                answer(token, OnStale.FAIL_CLOSED, policies.get("fail_closed"), answers.getKey());
                answer(token, OnStale.SERVE, policies.get("serve"), answers.getKey());
              });
    }

    private void answer(String token, OnStale policy, JsonElement expected, String name) {
      Verification verification = verifier.verifyHere(token, List.of(), policy);
      String got =
          verification instanceof Verification.Verified
              ? "\"verified\""
              : verification instanceof Verification.Invalid invalid
                  ? "{\"invalid\":\"" + invalid.reason() + "\"}"
                  : "\"unknown\"";
      require(
          got.equals(expected.toString()),
          name + " under " + policy + ": " + got + ", expected " + expected);
    }
  }

  /** For the tests of tokens: a time of the corpus. */
  static Instant start() {
    return Instant.ofEpochSecond(1_700_000_000);
  }
}
