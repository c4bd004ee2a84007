package countersign

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	countersignv1 "countersign.dev/go/countersign/v1"
)

// authority signs certificates and writes them into a folder.
type authority struct {
	*testing.T
	folder string
	key    *ecdsa.PrivateKey
	cert   *x509.Certificate
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{T: t, folder: t.TempDir()}
	a.key = a.newKey()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	a.cert = template
	der := a.sign(template, a.key)
	a.write("ca.pem", "CERTIFICATE", der)
	var err error
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return a
}

func (a *authority) newKey() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.Fatal(err)
	}
	return key
}

func (a *authority) sign(template *x509.Certificate, key *ecdsa.PrivateKey) []byte {
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		a.Fatal(err)
	}
	return der
}

func (a *authority) path(name string) string { return filepath.Join(a.folder, name) }

// write writes with a byte order mark, as some editors do.
func (a *authority) write(name, kind string, der []byte) {
	text := append([]byte("\xef\xbb\xbf"), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})...)
	if err := os.WriteFile(a.path(name), text, 0o600); err != nil {
		a.Fatal(err)
	}
}

// issue writes name.pem and name.key, for 127.0.0.1.
func (a *authority) issue(name string) tls.Certificate {
	key := a.newKey()
	der := a.sign(&x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, key)
	private, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		a.Fatal(err)
	}
	a.write(name+".pem", "CERTIFICATE", der)
	a.write(name+".key", "EC PRIVATE KEY", private)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// serveTLS serves a fake that asks for a certificate of this authority.
func (a *authority) serveTLS() *fakeServer {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		a.Fatal(err)
	}
	f := &fakeServer{address: listener.Addr().String(), arrivals: make(chan *fakeStream, 16)}
	f.server = grpc.NewServer(grpc.Creds(credentials.NewTLS(&tls.Config{
		Certificates: []tls.Certificate{a.issue("server")}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool,
	})))
	countersignv1.RegisterRevocationServiceServer(f.server, f)
	go func() { _ = f.server.Serve(listener) }()
	a.Cleanup(f.server.Stop)
	return f
}

func TestTLSWithACertificateOfOnesOwnThatIsReplaced(t *testing.T) {
	ours, others := newAuthority(t), newAuthority(t)
	server := ours.serveTLS()
	ours.issue("client")
	// At first with a certificate that the server does not accept.
	others.issue("client")
	files := &TLS{CAFile: ours.path("ca.pem"), CertFile: others.path("client.pem"), KeyFile: others.path("client.key")}
	options := quick("", nil)
	options.Endpoint, options.TLS = "https://"+server.address, files
	v := connect(t, options)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := v.Ready(ctx); !errors.Is(err, context.DeadlineExceeded) || len(server.arrivals) != 0 {
		t.Fatalf("with a stranger's certificate: %v", err)
	}
	for _, name := range []string{"client.pem", "client.key"} {
		text, err := os.ReadFile(ours.path(name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(others.path(name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	server.next(t).started()
}

func TestTLSTrustsNoOtherAuthority(t *testing.T) {
	ours, others := newAuthority(t), newAuthority(t)
	server := ours.serveTLS()
	ours.issue("client")
	for _, ca := range []string{others.path("ca.pem"), ""} {
		options := quick("", nil)
		options.Endpoint = "https://" + server.address
		options.TLS = &TLS{CAFile: ca, CertFile: ours.path("client.pem"), KeyFile: ours.path("client.key")}
		v := connect(t, options)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		if err := v.Ready(ctx); !errors.Is(err, context.DeadlineExceeded) || len(server.arrivals) != 0 {
			t.Errorf("%q: %v", ca, err)
		}
		cancel()
	}
}
