"""Advisories and artefacts: fetch, mirror, agree across sources, quarantine."""
