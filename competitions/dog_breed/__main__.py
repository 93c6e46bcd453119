from pipeline.base.stopping import stoppable

with stoppable():  # also while the libraries are imported
    from competitions.dog_breed.competition import Competition
    from competitions.dog_breed.configs import CONFIGS
    from pipeline.stages.main import main

    main(Competition(), CONFIGS)
