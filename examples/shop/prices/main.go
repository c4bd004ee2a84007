// Prices knows what things cost. It answers the shop's own services, for a user who is signed in: the caller shows a service
// token in Authorization, and passes the user's token on in X-User-Token.
package main

import (
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"os"
	"time"

	countersign "countersign.dev/go"
	"countersign.dev/go/httpauth"
)

var cents = map[string]int{"tea": 450, "coffee": 790}

func main() {
	verifier, err := countersign.Connect(countersign.Options{
		Endpoint:  os.Getenv("COUNTERSIGN"),
		Issuer:    "countersign",
		Audiences: []string{"countersign"},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer verifier.Close()

	mux := http.NewServeMux()
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if _, loaded := verifier.Staleness(); !loaded {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	mux.Handle("GET /prices/{item}", forUsers(verifier, price))
	mux.Handle("GET /stream", forUsers(verifier, func(w http.ResponseWriter, r *http.Request, user *countersign.Token) {
		stream(verifier, w, r, user)
	}))
	server := http.Server{Addr: os.Getenv("LISTEN"), Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	log.Fatal(server.ListenAndServe())
}

// forUsers lets services through, and only on behalf of a user whose token is good.
func forUsers(verifier *countersign.Verifier, next func(http.ResponseWriter, *http.Request, *countersign.Token)) http.Handler {
	return httpauth.Middleware(verifier)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		caller, _ := countersign.TokenFromContext(r.Context())
		if caller.SubjectKind != countersign.SubjectService {
			http.Error(w, "this is for services", http.StatusForbidden)
			return
		}
		user, err := verifier.Verify(r.Context(), r.Header.Get("X-User-Token"))
		if err != nil {
			httpauth.WriteError(w, err)
			return
		}
		if user.SubjectKind != countersign.SubjectUser {
			http.Error(w, "no user stands behind this call", http.StatusForbidden)
			return
		}
		next(w, r, user)
	}))
}

func price(w http.ResponseWriter, r *http.Request, user *countersign.Token) {
	cost, known := cents[r.PathValue("item")]
	if !known {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"cents": cost, "for": user.Username})
}

// stream sends server-sent events until the user's session ends.
func stream(verifier *countersign.Verifier, w http.ResponseWriter, r *http.Request, user *countersign.Token) {
	ctx, cancel := verifier.WithRevocation(r.Context(), user)
	defer cancel()
	w.Header().Set("Content-Type", "text/event-stream")
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		fmt.Fprint(w, "data: open\n\n")
		if http.NewResponseController(w).Flush() != nil {
			return
		}
		select {
		case <-ctx.Done():
			fmt.Fprint(w, "event: over\ndata: the session has ended\n\n")
			return
		case <-tick.C:
		}
	}
}
