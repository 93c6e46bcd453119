from competitions.coco.competition import Competition
from competitions.coco.configs import CONFIGS
from pipeline.cli import main

main(Competition(), CONFIGS)
