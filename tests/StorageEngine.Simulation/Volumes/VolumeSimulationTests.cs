using Xunit;

namespace Nephos.StorageEngine.Simulation.Volumes;

public sealed class VolumeSimulationTests
{
    [Fact]
    public void B20_to_B25_Nothing_acknowledged_is_lost_and_replicas_agree_whatever_happens()
    {
        var acknowledged = 0;
        for (var seed = 1; seed <= 60; seed++)
        {
            try
            {
                acknowledged += VolumeSimulation.Run(seed);
            }
            catch (Exception failure)
            {
                throw new InvalidOperationException($"Seed {seed}: {failure.Message}", failure);
            }
        }
        // A simulation in which nothing gets through proves nothing.
        Assert.True(acknowledged > 1000, $"{acknowledged} acknowledged");
    }

    /// <summary>Writes that were given up for want of space had taken what a replica in repair lacked off its list.</summary>
    [Theory]
    [InlineData(303227)]
    public void A_replica_in_repair_still_lacks_what_a_write_without_space_should_have_replaced(int seed) => VolumeSimulation.Run(seed);

    /// <summary>A replica that came back counted as complete although a write that it had missed was only written over by ones in flight, and then the power went.</summary>
    [Theory]
    [InlineData(302257)]
    public void A_replica_that_missed_an_acknowledged_write_is_not_complete_before_it_was_written_over_for_good(int seed) => VolumeSimulation.Run(seed);
}
