package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera/client"
	"golang.org/x/mod/sumdb/tlog"
)

// stored is a tree in memory, kept and proved by golang.org/x/mod/sumdb/tlog.
type stored []tlog.Hash

func (s stored) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	found := make([]tlog.Hash, 0, len(indexes))
	for _, i := range indexes {
		if i >= int64(len(s)) {
			return nil, errors.New("no such hash")
		}
		found = append(found, s[i])
	}
	return found, nil
}

func bytesOf[P ~[]tlog.Hash](hashes P) [][]byte {
	out := make([][]byte, 0, len(hashes))
	for _, h := range hashes {
		out = append(out, append([]byte{}, h[:]...))
	}
	return out
}

func hashesOf(raw [][]byte) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, 0, len(raw))
	for _, h := range raw {
		if len(h) != tlog.HashSize {
			return nil, fmt.Errorf("a hash of %d bytes", len(h))
		}
		out = append(out, tlog.Hash(h))
	}
	return out, nil
}

// tree builds a tree of the entries; gives its root, the proof of entry `index` and that of size `old`.
func tree(j job) (answer, error) {
	var all stored
	for i, entry := range j.Entries {
		more, err := tlog.StoredHashes(int64(i), entry, all)
		if err != nil {
			return answer{}, err
		}
		all = append(all, more...)
	}
	size := int64(len(j.Entries))
	root, err := tlog.TreeHash(size, all)
	if err != nil {
		return answer{}, err
	}
	a := answer{Size: uint64(size), Root: root[:]}
	if int64(j.Index) < size {
		path, err := tlog.ProveRecord(size, int64(j.Index), all)
		if err != nil {
			return answer{}, err
		}
		leaf := tlog.RecordHash(j.Entries[j.Index])
		a.Inclusion, a.Leaf = bytesOf(path), leaf[:]
	}
	if j.Old > 0 && int64(j.Old) <= size {
		path, err := tlog.ProveTree(size, int64(j.Old), all)
		if err != nil {
			return answer{}, err
		}
		a.Consistency = bytesOf(path)
	}
	return a, nil
}

// tiles proves entry `index` and the smaller tree `old` from the tiles of an exported log.
func tiles(j job) (answer, error) {
	ctx := context.Background()
	builder, err := client.NewProofBuilder(ctx, j.Size, client.FileFetcher{Root: j.Dir}.ReadTile)
	if err != nil {
		return answer{}, err
	}
	a := answer{Size: j.Size}
	if a.Inclusion, err = builder.InclusionProof(ctx, j.Index); err != nil {
		return answer{}, err
	}
	if j.Old > 0 {
		a.Consistency, err = builder.ConsistencyProof(ctx, j.Old, j.Size)
	}
	return a, err
}

// included has both foreign checkers look at an inclusion proof.
func included(j job) (answer, error) {
	if err := proof.VerifyInclusion(
		rfc6962.DefaultHasher, j.Index, j.Size, j.Leaf, j.Proof, j.Root); err != nil {
		return answer{}, err
	}
	path, err := hashesOf(append([][]byte{j.Leaf, j.Root}, j.Proof...))
	if err != nil {
		return answer{}, err
	}
	return answer{}, tlog.CheckRecord(path[2:], int64(j.Size), path[1], int64(j.Index), path[0])
}

// consistent has both foreign checkers look at a consistency proof.
func consistent(j job) (answer, error) {
	if err := proof.VerifyConsistency(
		rfc6962.DefaultHasher, j.Old, j.Size, j.Proof, j.OldRoot, j.Root); err != nil {
		return answer{}, err
	}
	path, err := hashesOf(append([][]byte{j.OldRoot, j.Root}, j.Proof...))
	if err != nil {
		return answer{}, err
	}
	return answer{}, tlog.CheckTree(path[2:], int64(j.Size), path[1], int64(j.Old), path[0])
}
