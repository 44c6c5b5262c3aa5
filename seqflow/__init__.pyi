from .categorical import cross_entropy as cross_entropy
from .categorical import sample_tokens as sample_tokens
from .process import CategoricalProcess as CategoricalProcess
from .process import Condition as Condition
from .process import Process as Process
from .process import Tiltable as Tiltable
from .state import State as State
