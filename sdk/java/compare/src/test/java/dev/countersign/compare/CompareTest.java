package dev.countersign.compare;

import static org.junit.jupiter.api.Assertions.assertTrue;

import com.nimbusds.jose.JOSEObjectType;
import com.nimbusds.jose.JWSAlgorithm;
import com.nimbusds.jose.jwk.Curve;
import com.nimbusds.jose.jwk.ECKey;
import com.nimbusds.jose.jwk.JWK;
import com.nimbusds.jose.jwk.JWKSet;
import com.nimbusds.jose.jwk.RSAKey;
import com.nimbusds.jose.jwk.source.ImmutableJWKSet;
import com.nimbusds.jose.proc.DefaultJOSEObjectTypeVerifier;
import com.nimbusds.jose.proc.JWSVerificationKeySelector;
import com.nimbusds.jose.proc.SecurityContext;
import com.nimbusds.jwt.JWTClaimsSet;
import com.nimbusds.jwt.proc.DefaultJWTClaimsVerifier;
import com.nimbusds.jwt.proc.DefaultJWTProcessor;
import dev.countersign.Verifier;
import dev.countersign.VerifierOptions;
import dev.countersign.testing.FakeServer;
import dev.countersign.testing.Signer;
import java.security.interfaces.ECPublicKey;
import java.security.interfaces.RSAPublicKey;
import java.util.Set;
import java.util.concurrent.Callable;
import org.junit.jupiter.api.Test;

/**
 * Measures a token that was seen before beside Nimbus JOSE's DefaultJWTProcessor, which Spring's
 * NimbusJwtDecoder is made of, in turns, and takes the best of each. Nimbus looks at no revocation.
 */
class CompareTest {
  static DefaultJWTProcessor<SecurityContext> nimbus(JWK key, JWSAlgorithm algorithm) {
    DefaultJWTProcessor<SecurityContext> processor = new DefaultJWTProcessor<>();
    processor.setJWSTypeVerifier(new DefaultJOSEObjectTypeVerifier<>(new JOSEObjectType("at+jwt")));
    processor.setJWSKeySelector(
        new JWSVerificationKeySelector<>(algorithm, new ImmutableJWKSet<>(new JWKSet(key))));
    processor.setJWTClaimsSetVerifier(
        new DefaultJWTClaimsVerifier<>(
            Signer.AUDIENCE,
            new JWTClaimsSet.Builder().issuer(Signer.ISSUER).build(),
            Set.of("sub", "exp", "iat", "jti", "sid")));
    return processor;
  }

  private static double measure(int calls, Callable<?> call) throws Exception {
    long begun = System.nanoTime();
    for (int i = 0; i < calls; i++) {
      call.call();
    }
    return (double) (System.nanoTime() - begun) / calls;
  }

  private static void compare(String name, Signer signer, JWK key, JWSAlgorithm algorithm)
      throws Exception {
    DefaultJWTProcessor<SecurityContext> processor = key == null ? null : nimbus(key, algorithm);
    try (FakeServer server = new FakeServer();
        Verifier verifier =
            server.verifier(
                VerifierOptions.builder(server.endpoint(), Signer.ISSUER, Signer.AUDIENCE),
                signer)) {
      String token = signer.token(1, System.currentTimeMillis());
      double ours = Double.MAX_VALUE;
      double theirs = Double.MAX_VALUE;
      for (int round = 0; round < 12; round++) {
        ours =
            Math.min(
                ours,
                measure(
                    50_000,
                    // A request brings a text of its own, whose hash nobody has computed.
                    () -> verifier.verify(new String(token.toCharArray())).orElseThrow()));
        if (key != null) {
          theirs = Math.min(theirs, measure(300, () -> processor.process(token, null)));
        }
      }
      try (Verifier forgets =
          server.verifier(
              VerifierOptions.builder(server.endpoint(), Signer.ISSUER, Signer.AUDIENCE)
                  .cachedTokens(0),
              signer)) {
        double anew = Double.MAX_VALUE;
        for (int round = 0; round < 5; round++) {
          anew = Math.min(anew, measure(300, () -> forgets.verify(token).orElseThrow()));
        }
        System.out.printf("%s, a token that is not remembered: %.0f us%n", name, anew / 1000);
      }
      if (key == null) {
        return;
      }
      System.out.printf(
          "%s, a token seen before: %.0f ns, Nimbus JOSE: %.0f ns, %.0f times as fast%n",
          name, ours, theirs, theirs / ours);
      assertTrue(theirs / ours >= 10, "only " + theirs / ours + " times as fast");
    }
  }

  @Test
  void aTokenThatWasSeenCostsATenth() throws Exception {
    Signer rs = Signer.rs256("k1");
    compare(
        "RS256",
        rs,
        new RSAKey.Builder((RSAPublicKey) rs.keys().getPublic()).keyID("k1").build(),
        JWSAlgorithm.RS256);
    // Nimbus JOSE takes EdDSA with another library alone.
    compare("EdDSA", Signer.ed25519("k1"), null, null);
    Signer es = Signer.es256("k1");
    compare(
        "ES256",
        es,
        new ECKey.Builder(Curve.P_256, (ECPublicKey) es.keys().getPublic()).keyID("k1").build(),
        JWSAlgorithm.ES256);
  }
}
