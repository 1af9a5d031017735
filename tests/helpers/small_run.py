"""Overrides that make `make train-convgru-1epoch` a training run of seconds."""

# Data, anchors and labels of the fixture micro_workspace.
MICRO = (
    "data.preset=micro",
    "model.image_height=64",
    "model.image_width=256",
    "model.num_anchors=16",
    "data.extra_drives=50",
    "model.map_shape=[64,128]",
    "model.map_feature_shape=[32,32]",
)
# Half the time of a step of the tiny preset's network.
NETWORK = (
    "model.stage_channels=[16,16,32,32]",
    "model.d_model=32",
    "model.encoder_layers=1",
    "model.decoder_layers=1",
    "model.gpt_layers=1",
)
SMALL = (
    *MICRO,
    *NETWORK,
    "trainer.batch_size=2",
    "trainer.run_length=2",
    "trainer.max_epochs=3",
    "trainer.progress_bar=false",
    "tracking=off",
    # A run of seconds on 14 validated scenes: what it plans and how far it learns is not what is tested.
    "acceptance.plan.rivals=[]",
    "acceptance.learning.allow_inconclusive=true",
    "acceptance.sensors.allow_inconclusive=true",
)
