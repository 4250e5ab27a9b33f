"""Checking a pack: every byte of every file, and that its audit lines are links of one book."""

import hashlib
import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from bank.audit_chain import canonical, chained, content_of
from bank.signing import Signer
from bot.evidence.pack import MANIFEST, listed


def faults_of(folder: Path, signer: Signer) -> list[str]:
    """What is wrong with the pack, in words; empty: it is as it was made."""
    try:
        manifest = json.loads((folder / MANIFEST).read_bytes())
        claimed = {str(row["name"]): row for row in manifest["files"]}
        signature, key = str(manifest["signature"]), str(manifest["key"])
    except (OSError, ValueError, KeyError, TypeError):
        return [f"{MANIFEST} 缺失或无法读取，无法核对"]
    said = {name: value for name, value in manifest.items() if name != "signature"}
    found = list(_of_signature(signer, key, signature, said))
    files = _read(folder)
    found += _of_files(files, claimed)
    if not found and [*listed(files)] != manifest["files"]:
        found.append(f"{MANIFEST} 的文件链与文件不符")
    return found + list(_of_lines(files.get("audit.json", b"[]")))


def _of_signature(signer: Signer, key: str, signature: str, said: dict[str, Any]) -> Iterator[str]:
    if not signer.knows(key):
        yield (f"清单由未知密钥 {key} 签名：请向出具方核对公钥，用 --public-key 指定后重新核对")
    elif not signer.signed(key, signature, canonical(said)):
        yield f"{MANIFEST} 被改动：签名不符"


def _read(folder: Path) -> dict[str, bytes]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file() or path.is_symlink())
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in paths
        if path != folder / MANIFEST
    }


def _of_files(files: dict[str, bytes], claimed: dict[str, Any]) -> Iterator[str]:
    for name in sorted(claimed.keys() - files.keys()):
        yield f"{name} 缺失"
    for name in sorted(files.keys() - claimed.keys()):
        yield f"{name} 不在清单中"
    for name in sorted(files.keys() & claimed.keys()):
        if hashlib.sha256(files[name]).hexdigest() != claimed[name].get("sha256"):
            yield f"{name} 被改动"


def _of_lines(data: bytes) -> Iterator[str]:
    try:
        lines = json.loads(data)
        for line in lines:
            if line["position"] is not None and not _linked(line):
                yield f"第 {line['id']} 号操作日志与它在审计链上的位置不符"
    except (ValueError, KeyError, TypeError, OverflowError):
        yield "audit.json 无法读取"


def _linked(line: dict[str, Any]) -> bool:
    content = bytes.fromhex(line["content"])
    if not line.get("masked"):
        moment = datetime.fromisoformat(line["at"])
        said = (line["actor"], line["action"], line["subject"], line["subject_id"], line["detail"])
        if content_of(moment, *said) != content:
            return False
    before = bytes.fromhex(line["before"])
    link = chained(before, line["position"], line["id"], content)
    return link == bytes.fromhex(line["chain"])
