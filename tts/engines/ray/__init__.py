"""Replicas of any other engine as Ray actors, on one machine or many. Nothing else imports `ray`."""

from tts.engines.ray.engine import RayEngine as RayEngine
