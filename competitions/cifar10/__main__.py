from pipeline.base.stopping import stoppable

with stoppable() as began:  # also while the libraries are imported
    from competitions.cifar10.competition import Competition
    from competitions.cifar10.configs import CONFIGS
    from pipeline.stages.main import main

    main(Competition(), CONFIGS, began=began)
