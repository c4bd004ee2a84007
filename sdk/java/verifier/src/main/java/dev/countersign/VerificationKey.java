package dev.countersign;

import java.math.BigInteger;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.PublicKey;
import java.security.Signature;
import java.security.interfaces.ECPublicKey;
import java.security.interfaces.RSAPublicKey;
import java.security.spec.ECFieldFp;
import java.security.spec.ECParameterSpec;
import java.security.spec.ECPoint;
import java.security.spec.RSAPublicKeySpec;
import java.security.spec.X509EncodedKeySpec;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.regex.Pattern;

/**
 * A public key. It verifies the tokens that name it, with one algorithm: a token's header has no
 * say in how it is used (RFC 8725 section 3.1).
 */
final class VerificationKey {
  private static final Pattern ID = Pattern.compile("[A-Za-z0-9._-]{1,64}");
  private static final int MIN_RSA_BITS = 2048;
  private static final int MAX_RSA_BITS = 8192;

  /** The DER of an Ed25519 key up to its 32 bytes (RFC 8410 section 4). */
  private static final byte[] ED25519_PREFIX = HexFormat.of().parseHex("302a300506032b6570032100");

  /** The DER of a P-256 key up to the 64 bytes of its uncompressed point (RFC 5480 section 2). */
  private static final byte[] P256_PREFIX =
      HexFormat.of().parseHex("3059301306072a8648ce3d020106082a8648ce3d03010703420004");

  private final String id;
  private final Algorithm algorithm;
  private final byte[] spki;
  private final PublicKey key;

  private enum Algorithm {
    EDDSA("EdDSA", "EdDSA", "Ed25519"),
    ES256("ES256", "EC", "SHA256withECDSAinP1363Format"),
    RS256("RS256", "RSA", "SHA256withRSA");

    private final String jose;
    private final String keyFactory;
    private final String signature;

    Algorithm(String jose, String keyFactory, String signature) {
      this.jose = jose;
      this.keyFactory = keyFactory;
      this.signature = signature;
    }
  }

  private VerificationKey(String id, Algorithm algorithm, byte[] spki, PublicKey key) {
    this.id = id;
    this.algorithm = algorithm;
    this.spki = spki;
    this.key = key;
  }

  /**
   * Takes a DER SubjectPublicKeyInfo (RFC 5280 section 4.1) in its canonical form.
   *
   * @throws GeneralSecurityException where it cannot be used, and why
   */
  static VerificationKey parse(String id, String algorithmName, byte[] spki)
      throws GeneralSecurityException {
    require(ID.matcher(id).matches(), "its id is not 1 to 64 characters out of A-Z a-z 0-9 . _ -");
    Algorithm algorithm = null;
    for (Algorithm known : Algorithm.values()) {
      if (known.jose.equals(algorithmName)) {
        algorithm = known;
      }
    }
    require(algorithm != null, "its algorithm is not EdDSA, ES256 or RS256");
    if (algorithm == Algorithm.EDDSA) {
      require(isForm(spki, ED25519_PREFIX, 32), "it is not a key for EdDSA in canonical form");
    } else if (algorithm == Algorithm.ES256) {
      require(isForm(spki, P256_PREFIX, 64), "it is not a key for ES256 in canonical form");
    }
    KeyFactory factory = KeyFactory.getInstance(algorithm.keyFactory);
    PublicKey key = factory.generatePublic(new X509EncodedKeySpec(spki));
    if (key instanceof ECPublicKey ec) {
      require(isOnCurve(ec), "its point is not on the curve");
    } else if (key instanceof RSAPublicKey rsa) {
      // Made anew of its numbers, because a key may give back the bytes that it was read from.
      PublicKey canonical =
          factory.generatePublic(new RSAPublicKeySpec(rsa.getModulus(), rsa.getPublicExponent()));
      require(
          Arrays.equals(canonical.getEncoded(), spki),
          "it is not a key for RS256 in canonical form");
      int bits = rsa.getModulus().bitLength();
      require(
          bits >= MIN_RSA_BITS && bits <= MAX_RSA_BITS,
          "an RSA key of " + bits + " bits; 2048 to 8192 are allowed");
    }
    VerificationKey parsed = new VerificationKey(id, algorithm, spki.clone(), key);
    // A point that stands for no key is found when it is used.
    parsed.signature();
    return parsed;
  }

  private static void require(boolean holds, String otherwise) throws GeneralSecurityException {
    if (!holds) {
      throw new GeneralSecurityException(otherwise);
    }
  }

  private static boolean isForm(byte[] spki, byte[] prefix, int rest) {
    return spki.length == prefix.length + rest
        && Arrays.equals(spki, 0, prefix.length, prefix, 0, prefix.length);
  }

  private static boolean isOnCurve(ECPublicKey key) {
    ECParameterSpec parameters = key.getParams();
    BigInteger p = ((ECFieldFp) parameters.getCurve().getField()).getP();
    ECPoint point = key.getW();
    BigInteger x = point.getAffineX();
    BigInteger y = point.getAffineY();
    if (x.compareTo(p) >= 0 || y.compareTo(p) >= 0) {
      return false;
    }
    BigInteger right =
        x.pow(3)
            .add(parameters.getCurve().getA().multiply(x))
            .add(parameters.getCurve().getB())
            .mod(p);
    return y.pow(2).mod(p).equals(right);
  }

  String id() {
    return id;
  }

  /** As the header of a token spells it. */
  String algorithm() {
    return algorithm.jose;
  }

  byte[] spki() {
    return spki.clone();
  }

  boolean isSameAs(VerificationKey other) {
    return algorithm == other.algorithm && Arrays.equals(spki, other.spki);
  }

  /**
   * Whether a signature is this key's over a message, in the form of RFC 7518 section 3 (for ES256
   * the 64 bytes of r and s) and RFC 8037 section 3.1.
   */
  boolean verify(byte[] message, byte[] signature) {
    if (algorithm != Algorithm.RS256 && signature.length != 64) {
      return false;
    }
    if (algorithm == Algorithm.ES256 && (isZero(signature, 0, 32) || isZero(signature, 32, 64))) {
      // CVE-2022-21449, for a runtime that was never updated.
      return false;
    }
    try {
      Signature verifier = signature();
      verifier.update(message);
      return verifier.verify(signature);
    } catch (GeneralSecurityException e) {
      // A signature that cannot be one, such as a number that is too large.
      return false;
    }
  }

  private Signature signature() throws GeneralSecurityException {
    Signature verifier = Signature.getInstance(algorithm.signature);
    verifier.initVerify(key);
    return verifier;
  }

  private static boolean isZero(byte[] bytes, int from, int to) {
    for (int i = from; i < to; i++) {
      if (bytes[i] != 0) {
        return false;
      }
    }
    return true;
  }
}
