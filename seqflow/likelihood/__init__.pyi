from .bound import Bound as Bound
from .bound import Bounded as Bounded
from .bound import variational_bound as variational_bound
from .divergence import ExactDivergence as ExactDivergence
from .divergence import HutchinsonDivergence as HutchinsonDivergence
from .divergence import divergence as divergence
from .ode import log_likelihood as log_likelihood
