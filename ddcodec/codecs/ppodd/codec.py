"""P-PoDD, posters of several stages drawn with weights, as a codec."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..base import Arrays, Codec, Description, ModelPlace, Paper, Pictures, Request
from ..podd.codec import PoDDCodec, describe_posters, pictures_of
from .options import PPoDD
from .rules import check_ppodd, check_ppodd_values, stage_view
from .stages import stage_arrays, stage_count, stage_shares, tensor_names

if TYPE_CHECKING:
    from ...format import DDSetFile, Manifest, Sizes
    from ...limits import Limits
    from ..samples import Samples


class PPoDDCodec(Codec):
    """A poster and labels for each stage, and the share of samples that each stage gives."""

    name = "ppodd"
    title = "posters in stages, drawn with weights"
    papers = (
        Paper("Giakoumatos, Nema, Lin", "Image Dataset Distillation (P-PoDD)"),
        *PoDDCodec.papers,
    )
    Options = PPoDD
    inseparable = PoDDCodec.inseparable

    def check(self, manifest: Manifest, limits: Limits) -> None:
        check_ppodd(manifest, limits)

    def check_values(self, manifest: Manifest, arrays: Arrays) -> None:
        check_ppodd_values(manifest, arrays)

    def encode(self, request: Request, options: Any) -> Manifest:
        from .encode import encode

        return encode(request, options)

    def decode(self, file: DDSetFile, place: ModelPlace) -> Samples:
        from .decode import decode

        return decode(file.manifest, file.arrays)

    def describe(self, manifest: Manifest, sizes: Sizes) -> Description:
        found = describe_posters(manifest, tensor_names(stage_count(manifest), learned=False))
        differences = manifest.codec["params"].get("differences", [])
        stages, rows = [], list(found.rows)
        for stage, share in enumerate(stage_shares(manifest), 1):
            mine = [name for name in differences if name.endswith(f"_{stage}")]
            poster = sizes.tensors[f"poster_{stage}"]
            labels = sizes.tensors.get(f"labels_{stage}", 0)
            stages.append({"share": share, "poster": poster, "labels": labels, "differences": mine})
            form = " as differences" if mine else ""
            text = f"{100 * share:.1f} % of samples, {poster + labels:,}{form}"
            rows.append((f"  stage {stage}", text))
        return replace(found, facts={**found.facts, "stages": stages}, rows=rows)

    def pictures(self, manifest: Manifest, arrays: Arrays, count: int) -> Pictures:
        posters = [stage["poster"] for stage in stage_arrays(manifest, arrays)]
        return pictures_of(stage_view(manifest, 1), posters)


CODEC = PPoDDCodec()
