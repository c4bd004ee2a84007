package dev.countersign.testing;

import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.protobuf.ByteString;
import dev.countersign.v1.WatchKey;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.Signature;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;

/** Makes keys and tokens of its own. */
public final class Signer {
  public static final String ISSUER = "https://auth.example";
  public static final String AUDIENCE = "orders";

  private static final Gson JSON = new GsonBuilder().serializeNulls().create();

  private final String kid;
  private final KeyPair keys;
  private final String jose;
  private final String signature;

  private Signer(String kid, KeyPair keys, String jose, String signature) {
    this.kid = kid;
    this.keys = keys;
    this.jose = jose;
    this.signature = signature;
  }

  public static Signer ed25519(String kid) {
    return of(kid, "Ed25519", 0, "EdDSA", "Ed25519");
  }

  public static Signer rs256(String kid) {
    return of(kid, "RSA", 2048, "RS256", "SHA256withRSA");
  }

  public static Signer es256(String kid) {
    return of(kid, "EC", 256, "ES256", "SHA256withECDSAinP1363Format");
  }

  private static Signer of(String kid, String algorithm, int bits, String jose, String signature) {
    try {
      KeyPairGenerator generator = KeyPairGenerator.getInstance(algorithm);
      if (bits > 0) {
        generator.initialize(bits);
      }
      return new Signer(kid, generator.generateKeyPair(), jose, signature);
    } catch (GeneralSecurityException e) {
      throw new AssertionError(e);
    }
  }

  public String kid() {
    return kid;
  }

  public KeyPair keys() {
    return keys;
  }

  /** The key as a server tells it. */
  public WatchKey key() {
    return WatchKey.newBuilder()
        .setId(kid)
        .setAlgorithm(jose)
        .setSpki(ByteString.copyFrom(keys.getPublic().getEncoded()))
        .build();
  }

  /** 16 bytes that name a session. */
  public static ByteString session(int number) {
    return ByteString.copyFrom(
        ByteBuffer.allocate(16).putInt(number).putLong(0).putInt(number).array());
  }

  public static String sessionId(int number) {
    return encode(session(number).toByteArray());
  }

  public static UUID user(int number) {
    return new UUID(0x4200L + number, number);
  }

  /** A token that is good from a time on for a quarter of an hour. */
  public String token(int session, long nowMillis) {
    return token(session, nowMillis, Map.of());
  }

  /** The same, but for these claims. */
  public String token(int session, long nowMillis, Map<String, ?> changed) {
    long now = nowMillis / 1000;
    Map<String, Object> claims = new LinkedHashMap<>();
    claims.put("iss", ISSUER);
    claims.put("sub", user(1).toString());
    claims.put("aud", List.of(AUDIENCE));
    claims.put("exp", now + 900);
    claims.put("iat", now);
    claims.put("jti", "AAAAAAAAAAAAAAAAAAAAAA");
    claims.put("sid", sessionId(session));
    claims.put("username", "ada");
    claims.put("roles", List.of("admin"));
    claims.put("auth_time", now);
    claims.put("amr", List.of("pwd"));
    claims.put("epoch", 3);
    claims.put("sxp", now + 86_400);
    claims.putAll(changed);
    return sign(JSON.toJson(claims));
  }

  /** A token with this payload, byte for byte. */
  public String sign(String payload) {
    String header = JSON.toJson(Map.of("typ", "at+jwt", "alg", jose, "kid", kid));
    String input =
        encode(header.getBytes(StandardCharsets.UTF_8))
            + "."
            + encode(payload.getBytes(StandardCharsets.UTF_8));
    try {
      Signature signer = Signature.getInstance(signature);
      signer.initSign(keys.getPrivate());
      signer.update(input.getBytes(StandardCharsets.US_ASCII));
      return input + "." + encode(signer.sign());
    } catch (GeneralSecurityException e) {
      throw new AssertionError(e);
    }
  }

  private static String encode(byte[] bytes) {
    return Base64.getUrlEncoder().withoutPadding().encodeToString(bytes);
  }
}
