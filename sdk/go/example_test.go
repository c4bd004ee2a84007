package countersign_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"time"

	countersign "countersign.dev/go"
	"countersign.dev/go/httpauth"
)

// A service that verifies in its own process.
func Example() {
	verifier, err := countersign.Connect(countersign.Options{
		Endpoint:  "https://countersign.auth.svc:50051",
		Issuer:    "countersign",      // the server's tokens.issuer
		Audiences: []string{"orders"}, // what this service goes by
	})
	if err != nil {
		log.Fatal(err)
	}
	defer verifier.Close()

	hello := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, _ := countersign.TokenFromContext(r.Context())
		fmt.Fprintf(w, "Hello, %s.\n", token.Username)
	})
	http.Handle("/", httpauth.Middleware(verifier)(hello))
	http.HandleFunc("/readyz", func(w http.ResponseWriter, _ *http.Request) {
		if _, loaded := verifier.Staleness(); !loaded {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	log.Fatal(http.ListenAndServe(":8080", nil))
}

// The three outcomes.
func ExampleVerifier_Verify() {
	verifier, err := countersign.Connect(countersign.Options{
		Endpoint:  "http://127.0.0.1:1", // no server is there
		Issuer:    "countersign",
		Audiences: []string{"orders"},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer verifier.Close()

	token, err := verifier.Verify(context.Background(), "not.a.token")
	var invalid *countersign.InvalidError
	var unknown *countersign.UnknownError
	switch {
	case err == nil:
		fmt.Println("it is", token.Username)
	case errors.As(err, &invalid):
		fmt.Println("refuse it:", invalid.Reason)
	case errors.As(err, &unknown):
		fmt.Println("not known: ask the caller to try again")
	}
	// Output: refuse it: MALFORMED
}

// An open stream of server-sent events that ends when its user logs out.
func ExampleVerifier_WithRevocation() {
	events := func(verifier *countersign.Verifier) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			token, _ := countersign.TokenFromContext(r.Context())
			ctx, cancel := verifier.WithRevocation(r.Context(), token)
			defer cancel()
			tick := time.NewTicker(time.Second)
			defer tick.Stop()
			for {
				select {
				case now := <-tick.C:
					fmt.Fprintf(w, "data: %s\n\n", now.Format(time.TimeOnly))
					w.(http.Flusher).Flush()
				case <-ctx.Done():
					return
				}
			}
		}
	}
	_ = events
}

// Log in, refresh, log out.
func ExampleClient() {
	client, err := countersign.NewClient(countersign.ClientOptions{Endpoint: "http://127.0.0.1:50051"})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	ctx := context.Background()

	tokens, err := client.Login(ctx, "ada", "correct horse battery")
	if err != nil {
		log.Fatal(countersign.Reason(err))
	}
	next, err := client.Refresh(ctx, tokens.RefreshToken)
	switch {
	case err == nil:
		tokens = next
	case countersign.SessionEnded(err):
		log.Fatal("log in again: ", countersign.Cause(err))
	default:
		log.Print("keep the tokens and try later: ", err)
	}
	if _, err := client.Logout(ctx, tokens.RefreshToken); err != nil {
		log.Fatal(err)
	}
}

// An error that a handler of gRPC can return as it is has a reason of the catalogue.
func ExampleReason() {
	fmt.Println(countersign.Reason(&countersign.InvalidError{Reason: countersign.Expired}))
	fmt.Println(countersign.Reason(&countersign.UnknownError{}))
	// Output:
	// ACCESS_TOKEN_EXPIRED
	// REVOCATIONS_STALE
}
