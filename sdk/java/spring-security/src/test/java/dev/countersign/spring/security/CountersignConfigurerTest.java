package dev.countersign.spring.security;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.springframework.test.web.servlet.request.MockMvcRequestBuilders.get;
import static org.springframework.test.web.servlet.request.MockMvcRequestBuilders.post;

import dev.countersign.Token;
import dev.countersign.Verifier;
import dev.countersign.VerifierOptions;
import dev.countersign.testing.FakeServer;
import dev.countersign.testing.Signer;
import dev.countersign.testing.SteppedClock;
import dev.countersign.testing.Wait;
import jakarta.servlet.Filter;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.mock.web.MockHttpServletResponse;
import org.springframework.mock.web.MockServletContext;
import org.springframework.security.config.Customizer;
import org.springframework.security.config.annotation.web.builders.HttpSecurity;
import org.springframework.security.config.annotation.web.configuration.EnableWebSecurity;
import org.springframework.security.config.http.SessionCreationPolicy;
import org.springframework.security.core.annotation.AuthenticationPrincipal;
import org.springframework.security.core.context.SecurityContextHolder;
import org.springframework.security.web.SecurityFilterChain;
import org.springframework.test.web.servlet.MockMvc;
import org.springframework.test.web.servlet.MvcResult;
import org.springframework.test.web.servlet.request.MockHttpServletRequestBuilder;
import org.springframework.test.web.servlet.setup.MockMvcBuilders;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RestController;
import org.springframework.web.context.support.AnnotationConfigWebApplicationContext;
import org.springframework.web.servlet.config.annotation.EnableWebMvc;

class CountersignConfigurerTest {
  private static Verifier verifier;

  @Configuration
  @EnableWebSecurity
  @EnableWebMvc
  static class Application {
    @Bean
    SecurityFilterChain security(HttpSecurity http) throws Exception {
      return http.with(new CountersignConfigurer(verifier), Customizer.withDefaults())
          .sessionManagement(it -> it.sessionCreationPolicy(SessionCreationPolicy.STATELESS))
          .authorizeHttpRequests(
              it ->
                  it.requestMatchers("/livez")
                      .permitAll()
                      .requestMatchers("/admin")
                      .hasRole("admin")
                      .requestMatchers("/other")
                      .hasRole("other")
                      .anyRequest()
                      .authenticated())
          .build();
    }

    @Bean
    Controller controller() {
      return new Controller();
    }
  }

  @RestController
  static class Controller {
    @GetMapping({"/hello", "/admin", "/other"})
    String hello(@AuthenticationPrincipal Token token) {
      return token.username();
    }

    @PostMapping("/hello")
    String posted(@AuthenticationPrincipal Token token) {
      return token.username();
    }

    @GetMapping("/livez")
    String live() {
      return "live";
    }
  }

  private final FakeServer server = new FakeServer();
  private final Signer signer = Signer.ed25519("k1");
  private final SteppedClock clock = new SteppedClock(System.currentTimeMillis());
  private FakeServer.Stream stream;
  private AnnotationConfigWebApplicationContext context;
  private MockMvc mvc;

  @BeforeEach
  void begin() {
    verifier =
        Verifier.connect(
            VerifierOptions.builder(server.endpoint(), Signer.ISSUER, Signer.AUDIENCE)
                .clock(clock)
                .patience(Duration.ofHours(1))
                .build());
    stream = server.next();
    stream.started();
    stream.load(signer);
    Wait.until("the verifier is ready", verifier::isReady);
    context = new AnnotationConfigWebApplicationContext();
    context.register(Application.class);
    context.setServletContext(new MockServletContext());
    context.refresh();
    mvc =
        MockMvcBuilders.webAppContextSetup(context)
            .addFilters(context.getBean("springSecurityFilterChain", Filter.class))
            .build();
  }

  @AfterEach
  void end() {
    context.close();
    verifier.close();
    server.close();
  }

  private MockHttpServletResponse perform(
      MockHttpServletRequestBuilder request, String... authorization) throws Exception {
    for (String value : authorization) {
      request.header("Authorization", value);
    }
    MvcResult result = mvc.perform(request).andReturn();
    assertNull(result.getRequest().getSession(false), "no session is made");
    assertNull(SecurityContextHolder.getContext().getAuthentication(), "nothing is left behind");
    return result.getResponse();
  }

  private String token(int session) {
    return "Bearer " + signer.token(session, clock.wallMillis());
  }

  @Test
  void aGoodTokenIsLetIn() throws Exception {
    assertEquals("ada", perform(get("/hello"), token(1)).getContentAsString());
    assertEquals("ada", perform(get("/admin"), token(1)).getContentAsString());
    // Without a token against forgery.
    assertEquals("ada", perform(post("/hello"), token(1)).getContentAsString());
    assertEquals("live", perform(get("/livez")).getContentAsString());
  }

  private void refused(int status, String reason, MockHttpServletResponse response)
      throws Exception {
    assertEquals(status, response.getStatus());
    assertEquals(
        true,
        response.getContentAsString().contains("\"reason\":\"" + reason + "\""),
        response.getContentAsString());
    assertEquals("application/problem+json", response.getContentType());
  }

  @Test
  void othersAreToldWhy() throws Exception {
    MockHttpServletResponse none = perform(get("/hello"));
    refused(401, "TOKEN_MISSING", none);
    assertEquals("Bearer", none.getHeader("WWW-Authenticate"));
    refused(401, "TOKEN_MISSING", perform(get("/hello"), token(1), token(1)));
    refused(401, "ACCESS_TOKEN_INVALID", perform(get("/hello"), "Bearer x"));
    refused(401, "ACCESS_TOKEN_INVALID", perform(get("/livez"), "Bearer x"));
    refused(403, "ROLE_REQUIRED", perform(get("/other"), token(1)));
    stream.revoked(6, 2);
    Wait.until("it is revoked", () -> verifier.statistics().revocations() == 1);
    refused(401, "SESSION_REVOKED", perform(get("/hello"), token(2)));
    String before = token(1);
    clock.advance(Duration.ofSeconds(11));
    MockHttpServletResponse stale = perform(get("/hello"), before);
    refused(503, "REVOCATIONS_STALE", stale);
    assertEquals("1", stale.getHeader("Retry-After"));
    clock.advance(Duration.ofHours(1));
    refused(401, "ACCESS_TOKEN_EXPIRED", perform(get("/hello"), before));
  }

  @Test
  void aTokenIsNotShown() {
    assertEquals("BearerAuthentication", new BearerAuthentication("secret").toString());
    CountersignAuthentication good =
        new CountersignAuthentication(
            Token.builder("subject", "session").roles(List.of("a")).build(), List.of());
    assertEquals("subject", good.getName());
    assertEquals("", good.getCredentials());
  }
}
