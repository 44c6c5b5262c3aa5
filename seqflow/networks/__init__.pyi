from .convolution import ConvolutionalClassifier as ConvolutionalClassifier
from .convolution import ConvolutionalNetwork as ConvolutionalNetwork
from .embedding import TimeLabelEmbedding as TimeLabelEmbedding
from .embedding import TokenEmbedding as TokenEmbedding
from .feature_grid import FeatureGrid as FeatureGrid
from .mlp import MLP as MLP
from .mlp import EndpointHead as EndpointHead
from .transformer import Transformer as Transformer
