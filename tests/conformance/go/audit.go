package main

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/transparency-dev/formats/log"
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera/api"
	"github.com/transparency-dev/tessera/api/layout"
	"github.com/transparency-dev/tessera/client"
	"github.com/transparency-dev/tessera/fsck"
	"golang.org/x/mod/sumdb/note"
)

// entries is the level under which bundles are kept beside the tiles of level 0 and up.
const entries = "entries"

type place struct {
	level string
	index uint64
}

// recorder remembers the widest form of each resource that the audit asked for.
type recorder struct {
	fsck.Fetcher
	lock sync.Mutex
	seen map[place][]byte
}

func (r *recorder) keep(level string, index uint64, data []byte) {
	r.lock.Lock()
	defer r.lock.Unlock()
	if len(data) > len(r.seen[place{level, index}]) {
		r.seen[place{level, index}] = data
	}
}

func (r *recorder) ReadTile(ctx context.Context, l, i uint64, p uint8) ([]byte, error) {
	data, err := r.Fetcher.ReadTile(ctx, l, i, p)
	if err == nil {
		if width := int(p) * 32; p != 0 && len(data) > width {
			data = data[:width]
		}
		r.keep(fmt.Sprint(l), i, data)
	}
	return data, err
}

func (r *recorder) ReadEntryBundle(ctx context.Context, i uint64, p uint8) ([]byte, error) {
	data, err := r.Fetcher.ReadEntryBundle(ctx, i, p)
	if err == nil {
		r.keep(entries, i, data)
	}
	return data, err
}

func leafHashes(bundle []byte) ([][]byte, error) {
	var parsed api.EntryBundle
	if err := parsed.UnmarshalText(bundle); err != nil {
		return nil, err
	}
	hashes := make([][]byte, 0, len(parsed.Entries))
	for _, entry := range parsed.Entries {
		hashes = append(hashes, rfc6962.DefaultHasher.HashLeaf(entry))
	}
	return hashes, nil
}

func width(level string, data []byte) (int, error) {
	if level != entries {
		return len(data) / 32, nil
	}
	hashes, err := leafHashes(data)
	return len(hashes), err
}

// examine looks at one file below tile/: its name and width agree, and it begins what was checked.
func (r *recorder) examine(name string, data []byte) error {
	level, index, _ := strings.Cut(name, "/")
	var at uint64
	var part uint8
	var err error
	if level == entries {
		at, part, err = layout.ParseTileIndexPartial(index)
	} else {
		_, at, part, err = layout.ParseTileLevelIndexPartial(level, index)
	}
	if err != nil {
		return fmt.Errorf("tile/%s: %w", name, err)
	}
	wanted := int(part)
	if part == 0 {
		wanted = layout.TileWidth
	}
	if got, err := width(level, data); err != nil || got != wanted {
		return fmt.Errorf("tile/%s: holds %d of %d: %v", name, got, wanted, err)
	}
	checked, ok := r.seen[place{level, at}]
	if !ok {
		return fmt.Errorf("tile/%s: the checkpoint does not imply it", name)
	}
	if !bytes.HasPrefix(checked, data) {
		return fmt.Errorf("tile/%s: differs from what was checked", name)
	}
	return nil
}

func (r *recorder) walk(root string) error {
	base := filepath.Join(root, "tile")
	if _, err := os.Stat(base); os.IsNotExist(err) {
		return nil
	}
	return filepath.WalkDir(base, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(base, path)
		if err != nil {
			return err
		}
		return r.examine(filepath.ToSlash(name), data)
	})
}

// source gives the log's files, or its server if the job names one.
func source(j job) (fsck.Fetcher, error) {
	if j.URL == "" {
		return client.FileFetcher{Root: j.Dir}, nil
	}
	root, err := url.Parse(j.URL)
	if err != nil {
		return nil, err
	}
	return client.NewHTTPFetcher(root, nil)
}

// audit verifies the checkpoint by every key, recomputes the root from all bundles and checks each tile.
func audit(j job) (answer, error) {
	ctx := context.Background()
	from, err := source(j)
	if err != nil {
		return answer{}, err
	}
	raw, err := from.ReadCheckpoint(ctx)
	if err != nil {
		return answer{}, err
	}
	n, signed, err := opened(raw, j.Keys)
	if err != nil {
		return answer{}, err
	}
	var head log.Checkpoint
	rest, err := head.Unmarshal([]byte(n.Text))
	if err != nil {
		return answer{}, err
	}
	if head.Origin != j.Origin || len(rest) != 0 || n.Text != string(head.Marshal()) {
		return answer{}, fmt.Errorf("checkpoint is not the plain one of %s", j.Origin)
	}
	own, err := note.NewVerifier(j.Keys[0])
	if err != nil {
		return answer{}, fmt.Errorf("the first key must be the log's own of type 0x01: %w", err)
	}
	files := &recorder{Fetcher: from, seen: map[place][]byte{}}
	checker := fsck.New(j.Origin, own, files, leafHashes, fsck.Opts{N: 2})
	if err := checker.Check(ctx); err != nil {
		return answer{}, err
	}
	if j.URL == "" {
		if err := files.walk(j.Dir); err != nil {
			return answer{}, err
		}
	}
	a := answer{Origin: head.Origin, Size: head.Size, Root: head.Hash, Verified: signed}
	for at := range files.seen {
		if at.level == entries {
			a.Bundles++
		} else {
			a.Tiles++
		}
	}
	return a, nil
}
