from pipeline.stages.start import starting

with starting("dog_breed"):  # before the libraries are imported
    from competitions.dog_breed.competition import Competition
    from competitions.dog_breed.configs import CONFIGS
    from pipeline.stages.main import main

    main(Competition(), CONFIGS)
