from pipeline.stages.start import starting

with starting("voc"):  # before the libraries are imported
    from competitions.voc.competition import Competition
    from competitions.voc.configs import CONFIGS
    from pipeline.stages.main import main

    main(Competition(), CONFIGS)
