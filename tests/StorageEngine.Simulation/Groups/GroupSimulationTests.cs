using Xunit;

namespace Nephos.StorageEngine.Simulation.Groups;

public sealed class GroupSimulationTests
{
    private static readonly int SeedCount =
        int.TryParse(Environment.GetEnvironmentVariable("NEPHOS_SIMULATION_SEEDS"), out var count) ? count : 300;

    [Fact]
    public void Nothing_acknowledged_is_lost_and_replicas_agree_whatever_happens()
    {
        var acknowledged = 0;
        for (var seed = 1; seed <= SeedCount; seed++)
        {
            try
            {
                acknowledged += GroupSimulation.Run(seed);
            }
            catch (Exception failure)
            {
                throw new InvalidOperationException($"Seed {seed}: {failure.Message}", failure);
            }
        }

        // A simulation in which nothing gets through proves nothing.
        Assert.True(acknowledged > 10_000, $"{acknowledged} acknowledged");
    }
}
