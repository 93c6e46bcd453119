from pipeline.stages.start import starting

with starting("hotdog"):  # before the libraries are imported
    from competitions.hotdog.competition import Competition
    from competitions.hotdog.configs import CONFIGS
    from pipeline.stages.main import main

    main(Competition(), CONFIGS)
