from .clock import OddsSchedule as OddsSchedule
from .moves import DrawnEnd as DrawnEnd
from .moves import GeodesicWalk as GeodesicWalk
from .moves import MeanDrift as MeanDrift
from .radial_flow import RadialFlow as RadialFlow
from .walks import FreshWalk as FreshWalk
from .walks import ParticleTable as ParticleTable
from .walks import TangentNormal as TangentNormal
