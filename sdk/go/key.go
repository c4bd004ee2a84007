package countersign

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"

	"crypto"

	countersignv1 "countersign.dev/go/countersign/v1"
)

const (
	maxKeyIDBytes = 64
	minRSABits    = 2048
	maxRSABits    = 8192
)

// algorithmIdentifiers are the DER of the AlgorithmIdentifier that a key of each algorithm has: RFC 8410 section 3,
// RFC 5480 section 2.1.1, RFC 3279 section 2.3.1.
var algorithmIdentifiers = map[string][]byte{
	"EdDSA": {0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70},
	"ES256": {
		0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d,
		0x03, 0x01, 0x07,
	},
	"RS256": {0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00},
}

// publicKey verifies the tokens that name it, with one algorithm: a token's header has no say in how it is used
// (RFC 8725 section 3.1).
type publicKey struct {
	id        string
	algorithm string
	spki      []byte
	key       any // ed25519.PublicKey, *ecdsa.PublicKey or *rsa.PublicKey
}

// parseKey takes a DER SubjectPublicKeyInfo (RFC 5280 section 4.1) in its canonical form.
func parseKey(id, algorithm string, spki []byte) (*publicKey, error) {
	if !isKeyID(id) {
		return nil, errors.New("its id is not 1 to 64 characters out of A-Z a-z 0-9 . _ -")
	}
	identifier, known := algorithmIdentifiers[algorithm]
	if !known {
		return nil, fmt.Errorf("its algorithm is %.20q, and not EdDSA, ES256 or RS256", algorithm)
	}
	if !bytes.HasPrefix(derSequenceBody(spki), identifier) {
		return nil, fmt.Errorf("it is not a key for %s", algorithm)
	}
	key, err := x509.ParsePKIXPublicKey(spki)
	if err != nil {
		return nil, err
	}
	canonical, err := x509.MarshalPKIXPublicKey(key)
	if err != nil || !bytes.Equal(canonical, spki) {
		return nil, errors.New("it is not in its canonical form")
	}
	if key, isRSA := key.(*rsa.PublicKey); isRSA {
		if bits := key.N.BitLen(); bits < minRSABits || bits > maxRSABits {
			return nil, fmt.Errorf("an RSA key of %d bits; %d to %d are allowed", bits, minRSABits, maxRSABits)
		}
	}
	return &publicKey{id: id, algorithm: algorithm, spki: bytes.Clone(spki), key: key}, nil
}

func isKeyID(text string) bool {
	for i := range len(text) {
		c := lowerASCII(text[i])
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '.' && c != '_' && c != '-' {
			return false
		}
	}
	return len(text) >= 1 && len(text) <= maxKeyIDBytes
}

// derSequenceBody returns what follows the tag and the length of a DER SEQUENCE.
func derSequenceBody(der []byte) []byte {
	if len(der) < 2 || der[0] != 0x30 || der[1] == 0x80 {
		return nil
	}
	rest := der[2:]
	if der[1] < 0x80 {
		return rest
	}
	length := int(der[1] & 0x7f)
	if length > len(rest) {
		return nil
	}
	return rest[length:]
}

// verify reports whether signature is this key's over message, in the form of RFC 7518 section 3 (for ES256 the 64
// bytes of r and s) and RFC 8037 section 3.1.
func (k *publicKey) verify(message string, signature []byte) bool {
	switch key := k.key.(type) {
	case ed25519.PublicKey:
		return len(signature) == ed25519.SignatureSize && ed25519.Verify(key, []byte(message), signature)
	case *ecdsa.PublicKey:
		if len(signature) != 64 {
			return false
		}
		digest := sha256.Sum256([]byte(message))
		r, s := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
		return ecdsa.Verify(key, digest[:], r, s)
	case *rsa.PublicKey:
		digest := sha256.Sum256([]byte(message))
		return rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], signature) == nil
	default:
		return false
	}
}

// keySet is the keys that tokens are accepted from. It is never changed.
type keySet struct {
	keys map[string]*publicKey
	// withdrawals is how often keys were withdrawn before. What was verified with a set of another number may have
	// been signed by a key that is not trusted any more.
	withdrawals uint64
}

// parseKeySet reads the server's keys. One that this release cannot read is left out: its tokens are signed by a key
// that is not trusted. Two keys of one id are an error.
func parseKeySet(message *countersignv1.WatchKeySet) (keys map[string]*publicKey, unreadable []error, err error) {
	keys = make(map[string]*publicKey, len(message.GetKeys()))
	for _, told := range message.GetKeys() {
		key, err := parseKey(told.GetId(), told.GetAlgorithm(), told.GetSpki())
		if err != nil {
			unreadable = append(unreadable, fmt.Errorf("key %.64q: %w", told.GetId(), err))
			continue
		}
		if keys[key.id] != nil {
			return nil, nil, fmt.Errorf("two keys are called %s", key.id)
		}
		keys[key.id] = key
	}
	return keys, unreadable, nil
}

// replacedBy returns the set with other keys instead, and whether a key was withdrawn by it, as one is too whose name
// another key has now.
func (s *keySet) replacedBy(keys map[string]*publicKey) (next *keySet, withdrawn bool) {
	for id, old := range s.keys {
		key := keys[id]
		if key == nil || key.algorithm != old.algorithm || !bytes.Equal(key.spki, old.spki) {
			withdrawn = true
		}
	}
	next = &keySet{keys: keys, withdrawals: s.withdrawals}
	if withdrawn {
		next.withdrawals++
	}
	return next, withdrawn
}
