from pipeline.stages.start import starting

with starting("cifar10"):  # before the libraries are imported
    from competitions.cifar10.competition import Competition
    from competitions.cifar10.configs import CONFIGS
    from pipeline.stages.main import main

    main(Competition(), CONFIGS)
