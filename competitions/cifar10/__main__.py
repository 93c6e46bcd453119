from competitions.cifar10.competition import Cifar10
from competitions.cifar10.configs import CONFIGS
from pipeline.cli import main

main(Cifar10(), CONFIGS)
