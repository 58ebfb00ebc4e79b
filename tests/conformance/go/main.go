// Program conformance answers questions about our logs with code that we did not write.
//
// It reads one JSON list of jobs from standard input and writes one JSON list of answers, in the
// same order. All cryptography, note parsing, tile arithmetic, tree hashing and proof checking is
// done by golang.org/x/mod/sumdb (note, tlog), github.com/transparency-dev/formats (checkpoints,
// cosignatures 0x04 and 0x06), github.com/transparency-dev/tessera (fsck, client) and
// github.com/transparency-dev/merkle; ML-DSA-44 is the Go standard library's. What is ours: reading
// the job, comparing a key's written id with the computed one (formats does not for 0x04 and 0x06),
// demanding that every named key has signed, and demanding that a file which the audit did not need
// is the beginning of one that it checked.
package main

import (
	"encoding/json"
	"fmt"
	"os"
)

type job struct {
	Op      string   `json:"op"`
	Dir     string   `json:"dir"`
	URL     string   `json:"url"`
	Origin  string   `json:"origin"`
	Note    string   `json:"note"`
	Text    string   `json:"text"`
	Keys    []string `json:"keys"`
	Entries [][]byte `json:"entries"`
	Leaf    []byte   `json:"leaf"`
	Proof   [][]byte `json:"proof"`
	Root    []byte   `json:"root"`
	OldRoot []byte   `json:"old_root"`
	Index   uint64   `json:"index"`
	Old     uint64   `json:"old"`
	Size    uint64   `json:"size"`
}

type signature struct {
	Name string `json:"name"`
	ID   string `json:"id"`
	Type byte   `json:"type"`
	Time uint64 `json:"time"`
}

type answer struct {
	OK          bool        `json:"ok"`
	Error       string      `json:"error,omitempty"`
	Text        string      `json:"text,omitempty"`
	Note        string      `json:"note,omitempty"`
	Origin      string      `json:"origin,omitempty"`
	Size        uint64      `json:"size"`
	Root        []byte      `json:"root,omitempty"`
	Leaf        []byte      `json:"leaf,omitempty"`
	Verified    []signature `json:"verified,omitempty"`
	Ignored     []string    `json:"ignored,omitempty"`
	Bundles     int         `json:"bundles"`
	Tiles       int         `json:"tiles"`
	Inclusion   [][]byte    `json:"inclusion,omitempty"`
	Consistency [][]byte    `json:"consistency,omitempty"`
}

var operations = map[string]func(job) (answer, error){
	"audit":      audit,
	"open":       open,
	"sign":       sign,
	"generate":   generate,
	"tree":       tree,
	"tiles":      tiles,
	"included":   included,
	"consistent": consistent,
}

func run(j job) (a answer) {
	defer func() {
		if r := recover(); r != nil {
			a = answer{Error: fmt.Sprintf("panic: %v", r)}
		}
	}()
	operation, ok := operations[j.Op]
	if !ok {
		return answer{Error: "unknown operation " + j.Op}
	}
	a, err := operation(j)
	if err != nil {
		return answer{Error: err.Error()}
	}
	a.OK = true
	return a
}

func main() {
	var jobs []job
	if err := json.NewDecoder(os.Stdin).Decode(&jobs); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	answers := make([]answer, 0, len(jobs))
	for _, j := range jobs {
		answers = append(answers, run(j))
	}
	if err := json.NewEncoder(os.Stdout).Encode(answers); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
}
