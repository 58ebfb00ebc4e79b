package main

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	f_note "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"
)

// verifiers parses keys of type 0x01, 0x04 and 0x06; a key whose written id is wrong is an error.
func verifiers(keys []string) ([]note.Verifier, map[string]byte, error) {
	found := make([]note.Verifier, 0, len(keys))
	types := map[string]byte{}
	for _, key := range keys {
		v, err := f_note.NewVerifier(key)
		if err != nil {
			return nil, nil, fmt.Errorf("key %.60s: %w", key, err)
		}
		parts := strings.SplitN(key, "+", 3)
		if id := fmt.Sprintf("%08x", v.KeyHash()); id != parts[1] {
			return nil, nil, fmt.Errorf("key %.60s: its id is %s", key, id)
		}
		material, err := base64.StdEncoding.Strict().DecodeString(parts[2])
		if err != nil {
			return nil, nil, err
		}
		types[fmt.Sprintf("%s+%08x", v.Name(), v.KeyHash())] = material[0]
		found = append(found, v)
	}
	return found, types, nil
}

// opened verifies a note and demands that every one of the keys has signed it.
func opened(raw []byte, keys []string) (*note.Note, []signature, error) {
	known, types, err := verifiers(keys)
	if err != nil {
		return nil, nil, err
	}
	n, err := note.Open(raw, note.VerifierList(known...))
	if err != nil {
		return nil, nil, err
	}
	var signed []signature
	for _, s := range n.Sigs {
		id := fmt.Sprintf("%08x", s.Hash)
		kind := types[s.Name+"+"+id]
		seen := signature{Name: s.Name, ID: id, Type: kind}
		if kind == 4 || kind == 6 {
			blob, err := base64.StdEncoding.DecodeString(s.Base64)
			if err != nil {
				return nil, nil, err
			}
			seen.Time = binary.BigEndian.Uint64(blob[4:])
		}
		signed = append(signed, seen)
	}
	if len(signed) != len(keys) {
		return nil, nil, fmt.Errorf("%d of %d keys have signed", len(signed), len(keys))
	}
	return n, signed, nil
}

func open(j job) (answer, error) {
	n, signed, err := opened([]byte(j.Note), j.Keys)
	if err != nil {
		return answer{}, err
	}
	a := answer{Text: n.Text, Verified: signed}
	for _, s := range n.UnverifiedSigs {
		a.Ignored = append(a.Ignored, fmt.Sprintf("%s+%08x", s.Name, s.Hash))
	}
	return a, nil
}

func signer(key string) (note.Signer, error) {
	parts := strings.SplitN(key, "+", 5)
	material, err := base64.StdEncoding.DecodeString(parts[len(parts)-1])
	if err != nil || len(material) == 0 {
		return nil, errors.New("malformed signer key")
	}
	if material[0] == 1 {
		return note.NewSigner(key)
	}
	return f_note.NewSignerForCosignatureV1(key)
}

// sign signs a text with keys in Go's private form; cosignatures carry the time of the machine.
func sign(j job) (answer, error) {
	var signers []note.Signer
	for _, key := range j.Keys {
		s, err := signer(key)
		if err != nil {
			return answer{}, err
		}
		signers = append(signers, s)
	}
	signed, err := note.Sign(&note.Note{Text: j.Text}, signers...)
	return answer{Note: string(signed)}, err
}

// generate makes one ML-DSA-44 cosigner's pair: the private form as note, the verifier key as text.
func generate(j job) (answer, error) {
	private, public, err := f_note.GenerateMLDSAKey(j.Origin)
	return answer{Note: private, Text: public}, err
}
