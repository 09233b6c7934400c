from __future__ import annotations

import msgspec
import pytest

from charter.training.settings import DPOSettings, OnlineSettings, TrainSettings


@pytest.mark.parametrize(
    ("kind", "bad", "field"),
    [
        (TrainSettings, {"learning_rate": 0}, "learning_rate"),
        (TrainSettings, {"batch_size": 0}, "batch_size"),
        (TrainSettings, {"schedule": "square"}, "schedule"),
        (TrainSettings, {"learning_rte": 1.0}, "learning_rte"),
        (DPOSettings, {"beta": -0.1}, "beta"),
        (OnlineSettings, {"group": 1}, "group"),
    ],
)
def test_a_value_out_of_range_is_refused_and_its_field_named(kind, bad, field):
    with pytest.raises(msgspec.ValidationError, match=field):
        msgspec.convert(bad, kind)


def test_settings_survive_a_round_trip():
    settings = OnlineSettings(method="rloo", lora_last_layers=2, report_to=("tensorboard",))
    assert msgspec.json.decode(msgspec.json.encode(settings), type=OnlineSettings) == settings
