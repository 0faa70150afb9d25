using Xunit;

namespace Nephos.StorageEngine.Simulation.Engine;

public sealed class ClusterSimulationTests
{
    [Fact]
    public void Whatever_happens_between_processes_every_answer_holds_and_everything_heals()
    {
        var acknowledged = 0;
        for (var seed = 1; seed <= 8; seed++)
        {
            acknowledged += ClusterSimulation.Run(seed, new EngineFaults());
        }

        // A simulation in which nothing gets through proves nothing.
        Assert.True(acknowledged > 8 * 10);
    }

    [Fact]
    public void The_same_seed_gives_the_same_run() =>
        Assert.Equal(ClusterSimulation.Run(3, new EngineFaults()), ClusterSimulation.Run(3, new EngineFaults()));
}
