package dev.countersign;

import java.time.Instant;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * An authentic token: what it says, and the same as numbers for the checks that are made each time.
 * The times are seconds since 1970.
 *
 * @param notBefore 0 where there is none
 * @param verified the answer where every check is passed, so that it need not be made again
 */
record Claims(
    String issuer,
    Token token,
    Verification.Verified verified,
    long issuedAt,
    long expiresAt,
    long notBefore,
    Id subject,
    Id session) {
  /** Times beyond are not exact in a double, so that readers could see different ones. */
  private static final long LARGEST_EXACT = 1L << 53;

  /**
   * Reads the payload of a token strictly: every claim but nbf and ext must be there and of its one
   * type (RFC 9068 section 2.2). Null otherwise.
   */
  static Claims parse(byte[] payload) {
    Map<String, Object> members = StrictJson.parseObject(payload);
    if (members == null) {
      return null;
    }
    try {
      return new Reader(members).read();
    } catch (WrongClaim e) {
      return null;
    }
  }

  private static final class WrongClaim extends Exception {
    WrongClaim() {
      super(null, null, false, false);
    }
  }

  /** Takes claims out of members. */
  private record Reader(Map<String, Object> members) {
    Claims read() throws WrongClaim {
      String issuer = text("iss");
      String sub = text("sub");
      SubjectKind kind = SubjectKind.USER;
      if (members.containsKey("client_id")) {
        // A service account is its own client, and nobody else has one (RFC 9068 section 2.2).
        if (!sub.equals(members.remove("client_id"))) {
          throw new WrongClaim();
        }
        kind = SubjectKind.SERVICE;
      }
      List<String> audiences = audiences();
      long expiresAt = date("exp");
      long issuedAt = date("iat");
      long notBefore = members.containsKey("nbf") ? date("nbf") : 0;
      String tokenId = text("jti");
      String sid = text("sid");
      Token.Builder token =
          Token.builder(sub, sid)
              .subjectKind(kind)
              .audiences(audiences)
              .tokenId(tokenId)
              .username(text("username"))
              .externalId(members.containsKey("ext") ? text("ext") : null)
              .roles(texts("roles"))
              .issuedAt(Instant.ofEpochSecond(issuedAt))
              .expiresAt(Instant.ofEpochSecond(expiresAt))
              .authTime(Instant.ofEpochSecond(date("auth_time")))
              .amr(texts("amr"))
              .epoch(counter("epoch"))
              .sessionExpiresAt(Instant.ofEpochSecond(date("sxp")));
      Id subject = Id.parseUser(sub);
      Id session = Id.parseSession(sid);
      if (subject == null || session == null) {
        throw new WrongClaim();
      }
      token.customClaims(object(members));
      Token made = token.build();
      return new Claims(
          issuer,
          made,
          new Verification.Verified(made),
          issuedAt,
          expiresAt,
          notBefore,
          subject,
          session);
    }

    private String text(String name) throws WrongClaim {
      return plainText(members.remove(name));
    }

    private List<String> texts(String name) throws WrongClaim {
      return plainTexts(members.remove(name));
    }

    /** One string or an array of them (RFC 7519 section 4.1.3), and never none. */
    private List<String> audiences() throws WrongClaim {
      Object value = members.remove("aud");
      List<String> audiences =
          value instanceof String text ? List.of(plainText(text)) : plainTexts(value);
      if (audiences.isEmpty()) {
        throw new WrongClaim();
      }
      return audiences;
    }

    /** A NumericDate (RFC 7519 section 2): an integer, not before 1970. */
    private long date(String name) throws WrongClaim {
      long seconds = counter(name);
      if (seconds < 0 || seconds > LARGEST_EXACT) {
        throw new WrongClaim();
      }
      return seconds;
    }

    /** An unsigned number of 64 bits that is spelled as digits and nothing else. */
    private long counter(String name) throws WrongClaim {
      if (members.remove(name) instanceof StrictJson.Num number && number.isWhole()) {
        try {
          return Long.parseUnsignedLong(number.text());
        } catch (NumberFormatException e) {
          throw new WrongClaim();
        }
      }
      throw new WrongClaim();
    }

    /**
     * A string that says something and has no control characters: a NUL would cut it short in
     * whatever is written in C behind us.
     */
    private static String plainText(Object value) throws WrongClaim {
      if (value instanceof String text
          && !text.isEmpty()
          && text.chars().noneMatch(Character::isISOControl)) {
        return text;
      }
      throw new WrongClaim();
    }

    private static List<String> plainTexts(Object value) throws WrongClaim {
      if (!(value instanceof List<?> values)) {
        throw new WrongClaim();
      }
      List<String> texts = new ArrayList<>(values.size());
      for (Object each : values) {
        texts.add(plainText(each));
      }
      return texts;
    }
  }

  private static Map<String, Object> object(Map<?, ?> members) {
    Map<String, Object> copy = new LinkedHashMap<>();
    members.forEach((name, value) -> copy.put((String) name, fixed(value)));
    return Collections.unmodifiableMap(copy);
  }

  /** A value that nobody can change, with its numbers as numbers. */
  private static Object fixed(Object value) {
    if (value instanceof StrictJson.Num number) {
      return number.value();
    }
    if (value instanceof Map<?, ?> members) {
      return object(members);
    }
    if (value instanceof List<?> values) {
      List<Object> copy = new ArrayList<>(values.size());
      values.forEach(each -> copy.add(fixed(each)));
      return Collections.unmodifiableList(copy);
    }
    return value;
  }
}
