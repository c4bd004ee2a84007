package dev.countersign;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import java.util.Base64;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

class CorpusTest {
  @Test
  void keys() {
    assertTrue(Corpus.lines("keys.jsonl").size() >= 50);
    assertEquals(List.of(), Corpus.keys());
  }

  @Test
  void tokens() {
    assertTrue(Corpus.lines("tokens.jsonl").size() >= 900);
    assertEquals(List.of(), Corpus.tokens());
  }

  @TestFactory
  Stream<DynamicTest> streams() {
    List<JsonObject> scripts = Corpus.lines("streams.jsonl");
    assertTrue(scripts.size() >= 20);
    return scripts.stream()
        .map(
            script ->
                DynamicTest.dynamicTest(
                    script.get("name").getAsString(),
                    () -> assertEquals(List.of(), Corpus.stream(script))));
  }

  @Test
  void keySetInJwks() {
    int count = 0;
    for (JsonElement each : Corpus.jwks().getAsJsonArray("keys")) {
      JsonObject jwk = each.getAsJsonObject();
      VerificationKey key = Corpus.trustedKeys().get(jwk.get("kid").getAsString());
      assertEquals(jwk.get("alg").getAsString(), key.algorithm());
      String number = jwk.get(jwk.has("x") ? "x" : "n").getAsString();
      String spki = new String(key.spki(), java.nio.charset.StandardCharsets.ISO_8859_1);
      byte[] bytes = Base64.getUrlDecoder().decode(number);
      assertTrue(
          spki.contains(new String(bytes, java.nio.charset.StandardCharsets.ISO_8859_1)), number);
      count++;
    }
    assertEquals(3, count);
  }
}
