from pipeline.stages.start import starting

with starting("coco"):  # before the libraries are imported
    from competitions.coco.competition import Competition
    from competitions.coco.configs import CONFIGS
    from pipeline.stages.main import main

    main(Competition(), CONFIGS)
