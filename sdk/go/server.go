package countersign

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
)

// TLS says how to speak TLS with a server. The files are read for each connection, so that what replaces them is used from
// the next one on; the server ends connections after some ten minutes.
type TLS struct {
	// CAFile holds the authorities in PEM that the server's certificate must come from. No others are trusted. Where it
	// is empty, those of the system are.
	CAFile string
	// CertFile and KeyFile hold the client's own certificate and private key in PEM, for a server that asks for one.
	CertFile, KeyFile string
	// ServerName is the name that the server's certificate must have, where it is not the host of the endpoint.
	ServerName string
}

// dial prepares a connection to http://host:port or https://host[:port]. It connects when it is used, and again whenever
// it has to.
func dial(endpoint string, files *TLS, connectTimeout, maxBackoff time.Duration, more []grpc.DialOption) (*grpc.ClientConn, error) {
	target, authority, creds, err := parseEndpoint(endpoint, files)
	if err != nil {
		return nil, err
	}
	if authority != "" {
		more = append([]grpc.DialOption{grpc.WithAuthority(authority)}, more...)
	}
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(creds),
		// gRPC's own longest pause is two minutes.
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff: backoff.Config{
				BaseDelay: min(firstPause, maxBackoff), Multiplier: 2, Jitter: 0.2, MaxDelay: maxBackoff,
			},
			MinConnectTimeout: connectTimeout,
		}),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{
			Time: 10 * time.Second, Timeout: connectTimeout, PermitWithoutStream: true,
		}),
		grpc.WithDisableServiceConfig(),
	}
	return grpc.NewClient(target, append(options, more...)...)
}

// parseEndpoint tells where to connect to, and under which name where that is not what is connected to.
func parseEndpoint(endpoint string, files *TLS) (target, authority string, creds credentials.TransportCredentials, err error) {
	server, err := url.Parse(endpoint)
	if err != nil || server.Hostname() == "" || server.User != nil || server.RawQuery != "" || server.Fragment != "" ||
		(server.Path != "" && server.Path != "/") {
		return "", "", nil, fmt.Errorf("countersign: the endpoint %q is not http://host:port or https://host:port", endpoint)
	}
	port := server.Port()
	switch server.Scheme {
	case "http":
		if files != nil {
			return "", "", nil, fmt.Errorf("countersign: the endpoint %q has TLS options, but is not https://", endpoint)
		}
		if port == "" {
			port = "80"
		}
		creds = insecure.NewCredentials()
	case "https":
		if port == "" {
			port = "443"
		}
		if files == nil {
			files = &TLS{}
		}
		if creds, err = newFileCredentials(*files); err != nil {
			return "", "", nil, err
		}
	default:
		return "", "", nil, fmt.Errorf("countersign: the endpoint %q begins neither with http:// nor with https://", endpoint)
	}
	host := server.Hostname()
	if strings.HasSuffix(host, ".localhost") {
		// Such a name is this machine (RFC 6761, section 6.3), and not every resolver knows that.
		host, authority = "127.0.0.1", net.JoinHostPort(host, port)
	}
	return "dns:///" + net.JoinHostPort(host, port), authority, creds, nil
}

// fileCredentials are TLS credentials that are read anew for each connection.
type fileCredentials struct {
	credentials.TransportCredentials
	files TLS
}

// newFileCredentials reads the files once, so that a wrong path is known at the start.
func newFileCredentials(files TLS) (credentials.TransportCredentials, error) {
	config, err := files.read()
	if err != nil {
		return nil, err
	}
	return &fileCredentials{TransportCredentials: credentials.NewTLS(config), files: files}, nil
}

func (c *fileCredentials) ClientHandshake(ctx context.Context, authority string, conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	config, err := c.files.read()
	if err != nil {
		return nil, nil, err
	}
	return credentials.NewTLS(config).ClientHandshake(ctx, authority, conn)
}

func (c *fileCredentials) Clone() credentials.TransportCredentials {
	return &fileCredentials{TransportCredentials: c.TransportCredentials.Clone(), files: c.files}
}

func (t *TLS) read() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName}
	if t.CAFile != "" {
		pem, err := readPEM(t.CAFile)
		if err != nil {
			return nil, err
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("countersign: %s: no certificate is in it", t.CAFile)
		}
	}
	if (t.CertFile == "") != (t.KeyFile == "") {
		return nil, errors.New("countersign: a certificate needs its key, and a key its certificate")
	}
	if t.CertFile != "" {
		certificate, err := readPEM(t.CertFile)
		if err != nil {
			return nil, err
		}
		key, err := readPEM(t.KeyFile)
		if err != nil {
			return nil, err
		}
		pair, err := tls.X509KeyPair(certificate, key)
		if err != nil {
			return nil, fmt.Errorf("countersign: %s, %s: %w", t.CertFile, t.KeyFile, err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}

// readPEM reads a file without the byte order mark that some editors put at its head.
func readPEM(path string) ([]byte, error) {
	pem, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("countersign: %w", err)
	}
	return bytes.TrimPrefix(pem, []byte("\xef\xbb\xbf")), nil
}
