package dev.countersign;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTimeout;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.countersign.testing.Signer;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;

class RulesTest {
  private static final long NOW = 1_700_000_000_000L;

  private static Engine engine(int cached, Signer... signers) {
    Engine engine = new Engine(Signer.ISSUER, List.of(Signer.AUDIENCE), 5000, cached);
    trust(engine, signers);
    return engine;
  }

  private static void trust(Engine engine, Signer... signers) {
    Map<String, VerificationKey> keys = new HashMap<>();
    for (Signer signer : signers) {
      keys.put(signer.kid(), key(signer));
    }
    engine.trust(engine.keys().replacedBy(keys));
  }

  private static VerificationKey key(Signer signer) {
    try {
      return VerificationKey.parse(
          signer.kid(), signer.key().getAlgorithm(), signer.key().getSpki().toByteArray());
    } catch (GeneralSecurityException e) {
      throw new AssertionError(e);
    }
  }

  private static InvalidReason reason(Verification verification) {
    return verification instanceof Verification.Invalid invalid ? invalid.reason() : null;
  }

  private static Id session(int number) {
    return Id.of(Signer.session(number));
  }

  private static Id user(int number) {
    return Id.parseUser(Signer.user(number).toString());
  }

  /** Leads an engine that remembers eight tokens and one that remembers none through one story. */
  @Test
  void theCacheChangesNoAnswer() {
    Random random = new Random(1);
    // The third comes under the name of the first.
    Signer[] signers = {Signer.ed25519("a"), Signer.es256("b"), Signer.ed25519("a")};
    List<String> tokens = new ArrayList<>();
    for (int i = 0; i < 24; i++) {
      Map<String, Object> changed = new HashMap<>();
      changed.put("sub", Signer.user(i % 3).toString());
      changed.put("jti", "" + i);
      changed.put("epoch", i % 4);
      changed.put("exp", NOW / 1000 + 60L * i);
      if (i % 5 == 0) {
        changed.put("nbf", NOW / 1000 + 30L * (i % 7));
      }
      tokens.add(signers[i % 3].token(i % 6, NOW, changed));
    }
    List<List<String>> audiences = List.of(List.of(), List.of("billing"), List.of("x", "orders"));
    Map<InvalidReason, Integer> counts = new EnumMap<>(InvalidReason.class);
    int verified = 0;
    for (int story = 0; story < 15; story++) {
      Engine remembers = engine(8, signers[0], signers[1]);
      Engine forgets = engine(0, signers[0], signers[1]);
      long now = NOW;
      for (int step = 0; step < 300; step++) {
        int session = random.nextInt(6);
        int user = random.nextInt(3);
        long epoch = random.nextInt(3);
        switch (random.nextInt(12)) {
          case 0 -> now += random.nextInt(200_000);
          case 1 -> now -= random.nextInt(100_000);
          case 2 -> {
            if (random.nextInt(4) == 0) {
              remembers.revocations().revokeSession(session(session), Long.MAX_VALUE);
              forgets.revocations().revokeSession(session(session), Long.MAX_VALUE);
            }
          }
          case 3 -> {
            remembers.revocations().raiseEpoch(user(user), epoch, Long.MAX_VALUE);
            forgets.revocations().raiseEpoch(user(user), epoch, Long.MAX_VALUE);
          }
          case 4 -> {
            int from = random.nextInt(3);
            Signer[] trusted =
                Arrays.copyOfRange(signers, from, Math.min(3, from + random.nextInt(3)));
            trusted = from == 0 && trusted.length == 3 ? new Signer[0] : trusted;
            trust(remembers, trusted);
            trust(forgets, trusted);
          }
          default -> {
            String token = tokens.get(random.nextInt(tokens.size()));
            if (random.nextInt(6) == 0) {
              int place = random.nextInt(token.length());
              token = token.substring(0, place) + "A" + token.substring(place + 1);
            }
            List<String> audience = audiences.get(random.nextInt(3));
            Verification got = remembers.verify(token, audience, now);
            Verification expected = forgets.verify(token, audience, now);
            assertEquals(reason(expected), reason(got), "story " + story + ", step " + step);
            if (expected instanceof Verification.Verified good) {
              assertEquals(good.token().tokenId(), got.orElseThrow().tokenId());
              verified++;
            } else {
              counts.merge(reason(expected), 1, Integer::sum);
            }
          }
        }
      }
      assertTrue(remembers.cache().size() <= 8);
    }
    assertTrue(verified > 0);
    Set<InvalidReason> met =
        Set.of(
            InvalidReason.EXPIRED,
            InvalidReason.NOT_YET_VALID,
            InvalidReason.BAD_SIGNATURE,
            InvalidReason.UNKNOWN_KEY,
            InvalidReason.WRONG_AUDIENCE,
            InvalidReason.REVOKED);
    assertTrue(counts.keySet().containsAll(met), counts.toString());
  }

  @Test
  void theCacheIsBoundedAndKeepsWhatIsAskedFor() {
    Signer signer = Signer.ed25519("k1");
    Engine engine = engine(100, signer);
    String asked = signer.token(0, NOW);
    engine.verify(asked, List.of(), NOW);
    byte[] bytes = TokenCache.bytesOf(asked);
    long hash = engine.cache().hash(bytes);
    for (int i = 1; i < 400; i++) {
      engine.verify(signer.token(i, NOW), List.of(), NOW);
      assertNotNull(engine.cache().get(bytes, hash, 0), "after " + i);
    }
    assertTrue(engine.cache().size() <= 128, "" + engine.cache().size());
    assertTrue(engine.cache().size() > 64, "" + engine.cache().size());
  }

  @Test
  void noChangeOfOneCharacterIsAccepted() {
    for (Signer signer : List.of(Signer.ed25519("k1"), Signer.es256("k1"))) {
      Engine engine = engine(64, signer);
      String valid = signer.token(1, NOW);
      assertNull(reason(engine.verify(valid, List.of(), NOW)));
      for (int place = 0; place < valid.length(); place += 2) {
        char was = valid.charAt(place);
        for (char other :
            new char[] {(char) (was ^ 1), 'A', '_', '.', '=', 0, '\n', 'é', '\u2126'}) {
          if (other != was) {
            String changed = valid.substring(0, place) + other + valid.substring(place + 1);
            assertNotNull(reason(engine.verify(changed, List.of(), NOW)), changed);
          }
        }
        String removed = valid.substring(0, place) + valid.substring(place + 1);
        assertNotNull(reason(engine.verify(removed, List.of(), NOW)), removed);
      }
    }
  }

  @Test
  void hugeAndDeepTokensAreRefusedFast() {
    Signer signer = Signer.ed25519("k1");
    Engine engine = engine(64, signer);
    assertTimeout(
        Duration.ofSeconds(1),
        () -> {
          for (String token :
              List.of(
                  ".".repeat(1 << 20),
                  "A".repeat(1 << 20),
                  "A".repeat(1 << 19) + "." + "A".repeat(1 << 19) + ".A")) {
            assertEquals(InvalidReason.MALFORMED, reason(engine.verify(token, List.of(), NOW)));
          }
        });
    // Also where the size does not stop it.
    Engine wide = new Engine(Signer.ISSUER, List.of(Signer.AUDIENCE), 5000, 64, 1 << 22);
    trust(wide, signer);
    for (String deep : List.of("{\"a\":".repeat(100_000), "[".repeat(100_000))) {
      String header =
          Base64.getUrlEncoder()
              .withoutPadding()
              .encodeToString(("{\"deep\":" + deep).getBytes(StandardCharsets.UTF_8));
      assertEquals(InvalidReason.MALFORMED, reason(wide.verify(header + ".AA.AA", List.of(), NOW)));
    }
  }

  @Test
  void jsonIsReadStrictly() {
    for (String good :
        List.of(
            "{}",
            " {\"a\":[1,-2,0.5,1e3,\"x\\u0000\",null,true,false],\"b\":{\"a\":{\"a\":18446744073709551615}}} ",
            "{\"\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\ud83d\\ude42\"}",
            "{\"a\":-0}",
            "{\"a\":1e-999}",
            "{\"a\":\"\u2028\ud83d\ude42\"}",
            "{\"a\":".repeat(127) + "1" + "}".repeat(127))) {
      assertNotNull(StrictJson.parseObject(good.getBytes(StandardCharsets.UTF_8)), good);
    }
    List<byte[]> bad = new ArrayList<>();
    for (String text :
        List.of(
            "{\"a\":1,\"a\":1}",
            "{\"a\":1,\"\\u0061\":2}",
            "{\"x\":{\"a\":1,\"a\":2}}",
            "{\"x\":[{\"a\":1,\"a\":2}]}",
            "{\"a\":1}{}",
            "{\"a\":1} x",
            "\ufeff{}",
            "{\"a\":1e999}",
            "{\"a\":NaN}",
            "{\"a\":01}",
            "{\"a\":+1}",
            "{\"a\":.5}",
            "{\"a\":1.}",
            "{\"a\":1e}",
            "{\"a\":-}",
            "{\"a\":1d}",
            "{\"a\":0x1}",
            "{\"a\":\"\\ud800\"}",
            "{\"a\":\"\\ud800\\u0041\"}",
            "{\"a\":\"\\udc00\"}",
            "{\"a\":\"\\x\"}",
            "{\"a\":\"\\u00g0\"}",
            "{\"a\":\"\\u0\u0663\u0663\u0663\"}",
            "{\"a\":\u0661}",
            "{\"a\":\"\u0001\"}",
            "{\"a\":1,}",
            "{,}",
            "{\"a\"}",
            "{\"a\":}",
            "{'a':1}",
            "{a:1}",
            "{/**/}",
            "[]",
            "null",
            "1",
            "",
            "{",
            "{\"",
            "{\"a\":\"\\",
            "{\"a\":\"\\u00",
            "{\"a\":tru}",
            "{\"a\":[1 2]}",
            "{\"a\":[1,]}",
            "{\u00a0}",
            "{\"a\":".repeat(128) + "1" + "}".repeat(128))) {
      bad.add(text.getBytes(StandardCharsets.UTF_8));
    }
    bad.add("{\"a\":\"\u00ff\"}".getBytes(StandardCharsets.ISO_8859_1));
    bad.add("{\"a\":\"\u00c0\u00af\"}".getBytes(StandardCharsets.ISO_8859_1));
    bad.add("{\"a\":\"\u00ed\u00a0\u0080\"}".getBytes(StandardCharsets.ISO_8859_1));
    for (byte[] text : bad) {
      assertNull(StrictJson.parseObject(text), () -> new String(text, StandardCharsets.ISO_8859_1));
    }
  }

  @Test
  void noBytesMakeTheReaderThrow() {
    Random random = new Random(2);
    byte[] alphabet = "{}[]\":,\\u0123456789abcdeE+-.tfn \t\u00ff".getBytes(StandardCharsets.UTF_8);
    for (int i = 0; i < 200_000; i++) {
      byte[] text = new byte[random.nextInt(24) + 1];
      for (int at = 0; at < text.length; at++) {
        text[at] = alphabet[random.nextInt(alphabet.length)];
      }
      text[0] = '{';
      StrictJson.parseObject(text);
    }
  }

  @Test
  void customClaimsKeepEveryDigitAndCannotBeChanged() {
    Signer signer = Signer.ed25519("k1");
    Engine engine = engine(0, signer);
    String payload =
        "{\"iss\":\"https://auth.example\",\"sub\":\"%s\",\"aud\":\"orders\",\"exp\":1700000900,"
                .formatted(Signer.user(1))
            + "\"iat\":1700000000,\"jti\":\"j\",\"sid\":\"%s\",\"username\":\"ada\",\"roles\":[],"
                .formatted(Signer.sessionId(1))
            + "\"auth_time\":1700000000,\"amr\":[],\"epoch\":18446744073709551615,\"sxp\":1700086400,"
            + "\"big\":123456789012345678901234567890,\"small\":-7,\"money\":0.1000000000000000000001,"
            + "\"tiny\":1e-99999999999,\"nothing\":null,\"list\":[1,{\"a\":true}]}";
    Token token = engine.verify(signer.sign(payload), List.of(), NOW).orElseThrow();
    Map<String, Object> claims = token.customClaims();
    assertEquals(new BigInteger("123456789012345678901234567890"), claims.get("big"));
    assertEquals(-7L, claims.get("small"));
    assertEquals(new BigDecimal("0.1000000000000000000001"), claims.get("money"));
    assertEquals(0.0, claims.get("tiny"));
    assertTrue(claims.containsKey("nothing"));
    assertNull(claims.get("nothing"));
    assertEquals(List.of(1L, Map.of("a", true)), claims.get("list"));
    assertEquals(-1L, token.epoch());
    assertThrows(UnsupportedOperationException.class, () -> claims.put("x", 1));
    assertThrows(UnsupportedOperationException.class, () -> token.roles().add("admin"));
    assertThrows(
        UnsupportedOperationException.class, () -> ((List<?>) claims.get("list")).remove(0));
    // An epoch has 64 bits.
    engine.revocations().raiseEpoch(user(1), -2, Long.MAX_VALUE);
    assertNull(reason(engine.verify(signer.sign(payload), List.of(), NOW)));
  }

  @Test
  void revocationsAreWhatAPlainMapWouldSay() {
    Random random = new Random(3);
    Revocations revocations = new Revocations();
    Map<Id, Long> sessions = new HashMap<>();
    Map<Id, long[]> users = new HashMap<>();
    List<Id> ids = new ArrayList<>();
    for (int i = 0; i < 3000; i++) {
      // Many share a table, and some differ in one half alone.
      ids.add(new Id(random.nextInt(60), random.nextInt(60) * 256L));
    }
    for (int step = 0; step < 60_000; step++) {
      Id id = ids.get(random.nextInt(ids.size()));
      long until = random.nextInt(1000) - 2;
      switch (random.nextInt(8)) {
        case 0, 1 -> {
          assertEquals(!sessions.containsKey(id), revocations.revokeSession(id, until));
          sessions.merge(id, until == 0 ? -1 : until, Math::max);
        }
        case 2, 3 -> {
          long epoch = random.nextInt(4) == 0 ? random.nextLong() : random.nextInt(5);
          long[] known = users.computeIfAbsent(id, key -> new long[] {0, Long.MIN_VALUE});
          assertEquals(
              Long.compareUnsigned(epoch, known[0]) > 0, revocations.raiseEpoch(id, epoch, until));
          known[0] = Long.compareUnsigned(epoch, known[0]) > 0 ? epoch : known[0];
          known[1] = Math.max(known[1], until == 0 ? -1 : until);
        }
        case 4 -> {
          if (random.nextInt(300) == 0) {
            long now = random.nextInt(1000);
            revocations.purge(now);
            sessions.values().removeIf(at -> at <= now);
            users.values().removeIf(known -> known[1] <= now);
          }
        }
        default -> {
          Id other = ids.get(random.nextInt(ids.size()));
          long epoch = random.nextInt(5);
          long[] known = users.get(other);
          boolean expected =
              sessions.containsKey(id)
                  || (known != null && Long.compareUnsigned(epoch, known[0]) < 0);
          assertEquals(expected, revocations.isRevoked(other, id, epoch));
        }
      }
      if (step % 5000 == 0) {
        assertEquals(sessions.size() + users.size(), revocations.size());
      }
    }
  }

  @Test
  void manyThreads() throws Exception {
    Signer first = Signer.ed25519("a");
    Signer second = Signer.ed25519("b");
    Engine engine = engine(16, first, second);
    List<String> tokens = new ArrayList<>();
    for (int i = 0; i < 40; i++) {
      tokens.add((i % 2 == 0 ? first : second).token(i, NOW));
    }
    ExecutorService threads = Executors.newFixedThreadPool(4);
    List<Future<?>> running = new ArrayList<>();
    for (int worker = 0; worker < 4; worker++) {
      int offset = worker;
      running.add(
          threads.submit(
              () -> {
                for (int i = 0; i < 4000; i++) {
                  InvalidReason reason =
                      reason(
                          engine.verify(tokens.get((i + offset) % tokens.size()), List.of(), NOW));
                  assertTrue(
                      reason == null
                          || reason == InvalidReason.REVOKED
                          || reason == InvalidReason.UNKNOWN_KEY,
                      () -> "" + reason);
                }
              }));
    }
    for (int i = 0; i < 400; i++) {
      engine.revocations().revokeSession(session(i % 20), Long.MAX_VALUE);
      trust(engine, i % 2 == 0 ? new Signer[] {first} : new Signer[] {first, second});
      engine.revocations().purge(0);
    }
    for (Future<?> each : running) {
      each.get();
    }
    threads.shutdown();
    trust(engine, second);
    for (int i = 0; i < tokens.size(); i += 2) {
      assertEquals(InvalidReason.UNKNOWN_KEY, reason(engine.verify(tokens.get(i), List.of(), NOW)));
    }
  }

  /** What is revoked stays so for those who ask while tables are rebuilt. */
  @Test
  void whoAsksWhileOthersWriteMissesNothing() throws Exception {
    Revocations revocations = new Revocations();
    Id nobody = new Id(1, 1);
    List<Id> revoked = new ArrayList<>();
    Random random = new Random(4);
    for (int i = 0; i < 64; i++) {
      Id id = new Id(random.nextLong(), random.nextLong() & ~255L);
      revocations.revokeSession(id, Long.MAX_VALUE);
      revoked.add(id);
    }
    Thread writer =
        new Thread(
            () -> {
              for (int round = 0; round < 60; round++) {
                for (int i = 0; i < 3000; i++) {
                  revocations.revokeSession(new Id(round, i * 256L), 1);
                }
                revocations.purge(2);
              }
            });
    writer.start();
    while (writer.isAlive()) {
      for (Id id : revoked) {
        assertTrue(revocations.isRevoked(nobody, id, 0));
      }
    }
    writer.join();
    assertEquals(64, revocations.size());
  }

  @Test
  void aMillionRevocationsHaveRoomIn64Mebibytes() {
    Random random = new Random(5);
    long before = used();
    Revocations revocations = new Revocations();
    for (int i = 0; i < 1_000_000; i++) {
      revocations.revokeSession(new Id(random.nextLong(), random.nextLong()), 1000);
    }
    long mebibytes = used() - before >> 20;
    System.out.println("a million revocations take " + mebibytes + " MiB");
    assertEquals(1_000_000, revocations.size());
    assertTrue(mebibytes <= 64, mebibytes + " MiB");
    revocations.purge(1000);
    assertEquals(0, revocations.size());
    assertTrue(used() - before >> 20 <= 2, "what is forgotten is given back");
  }

  @Test
  void whatARememberedTokenTakes() {
    Signer signer = Signer.ed25519("k1");
    Engine engine = engine(16_384, signer);
    engine.verify(signer.token(-1, NOW), List.of(), NOW);
    long before = used();
    for (int i = 0; i < 1000; i++) {
      engine.verify(signer.token(i, NOW), List.of(), NOW);
    }
    long each = (used() - before) / 1000;
    System.out.println("a remembered token takes " + each + " bytes");
    assertTrue(each < 4096, each + " bytes");
    assertTrue(engine.cache().size() > 950);
  }

  private static long used() {
    Runtime runtime = Runtime.getRuntime();
    for (int i = 0; i < 3; i++) {
      System.gc();
    }
    return runtime.totalMemory() - runtime.freeMemory();
  }

  @Test
  void bearerTokens() {
    assertEquals("x", BearerToken.of(List.of("Bearer x")).orElseThrow());
    assertEquals("x", BearerToken.of(List.of("bEARER   x ")).orElseThrow());
    for (List<String> none :
        List.of(
            List.<String>of(),
            List.of(""),
            List.of("Bearer"),
            List.of("Bearer "),
            List.of("Bearer x y"),
            List.of("Bearerx"),
            List.of("Basic x"),
            List.of("x"),
            List.of("Bearer x", "Bearer x"))) {
      assertTrue(BearerToken.of(none).isEmpty(), none.toString());
    }
  }
}
