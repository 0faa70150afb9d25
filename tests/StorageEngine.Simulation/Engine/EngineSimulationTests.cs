using Nephos.StorageEngine.Simulation.Machine;
using Xunit;

namespace Nephos.StorageEngine.Simulation.Engine;

public sealed class EngineSimulationTests
{
    [Fact]
    public void Whatever_happens_every_answer_holds_and_everything_heals() => Runs.Seeds(1, 20);

    [Fact]
    public void A_commit_that_waits_for_a_member_is_decided_when_its_device_comes_back() => Runs.Seeds(10, 1);

    [Fact]
    public void Copies_on_a_drained_device_are_found_and_moved() => Runs.Seeds(44, 1);

    [Fact]
    public void A_learner_never_takes_the_place_of_another_member() => Runs.Seeds(91, 1);

    [Fact]
    public void A_request_is_answered_when_the_replica_it_reads_is_lost() => Runs.Seeds(1555, 1);

    [Fact]
    public void Of_a_replica_whose_copy_was_broken_off_nothing_is_left_when_its_shard_is_gone() => Runs.Seeds(1004, 1);

    [Fact]
    public void The_same_seed_gives_the_same_run() =>
        Assert.Equal(EngineSimulation.Run(7, new EngineFaults()), EngineSimulation.Run(7, new EngineFaults()));

    [Fact]
    public void After_a_crash_at_any_write_the_engine_recovers() => Assert.True(Runs.CrashImages(seed: 3, every: 23) > 10);
}

/// <summary>Many simulations, for tests and for the command.</summary>
internal static class Runs
{
    /// <summary>Runs seeds; throws with the seed in front at the first that fails.</summary>
    public static int Seeds(int first, int count, Action<int>? done = null)
    {
        var acknowledged = 0;
        for (var seed = first; seed < first + count; seed++)
        {
            try
            {
                acknowledged += EngineSimulation.Run(seed, new EngineFaults());
            }
            catch (Exception failure)
            {
                throw new InvalidOperationException($"Seed {seed}: {failure.Message}", failure);
            }

            done?.Invoke(seed);
        }

        // A simulation in which nothing gets through proves nothing.
        return acknowledged >= count * 10 ? acknowledged : throw new InvalidOperationException($"Only {acknowledged} changes in {count} runs.");
    }

    /// <summary>Records a run without faults, then loses power at every n-th write of it in every way; returns the images tried.</summary>
    public static int CrashImages(int seed, int every, Action<int>? done = null)
    {
        var calm = new EngineFaults { Lives = 1, Disturbs = false };
        var writes = EngineSimulation.CountWrites(seed, calm);
        var images = 0;
        for (var write = 0; write < writes; write += every)
        {
            foreach (var tear in Enum.GetValues<Tear>())
            {
                try
                {
                    EngineSimulation.Run(seed, calm with { TearAtWrite = write, Tear = tear });
                }
                catch (Exception failure)
                {
                    throw new InvalidOperationException($"Seed {seed}, power lost at write {write}, {tear}: {failure.Message}", failure);
                }

                images++;
                done?.Invoke(images);
            }
        }

        return images;
    }
}
