"""WoTE: backbone, temporal-fusion slot, world model, reward and refinement heads."""

from wotempo.model.config import MODES, WOTE, WOTE_TINY, WoTEConfig
from wotempo.model.stream_frames import Plans, StreamFrames
from wotempo.model.streaming import StreamingPlanner
from wotempo.model.wote import WoTE

__all__ = ["MODES", "WOTE", "WOTE_TINY", "Plans", "StreamFrames", "StreamingPlanner", "WoTE", "WoTEConfig"]
