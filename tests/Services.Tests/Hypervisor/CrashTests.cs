using Nephos.Hypervisor.Instances;
using Nephos.Testing.Hypervisor;
using Xunit;

namespace Nephos.Services.Tests.Hypervisor;

/// <summary>Kills the agent before its n-th step, for every n, along a whole life; each time a new agent must end where an undisturbed
/// one does.</summary>
public sealed class CrashTests
{
    [Fact]
    public async Task Whatever_step_the_agent_is_killed_at_the_next_one_converges()
    {
        var steps = await LiveAsync(crashAt: int.MaxValue);
        Assert.InRange(steps, 15, 200);
        for (var crashAt = 1; crashAt <= steps; crashAt++)
        {
            await LiveAsync(crashAt);
        }
    }

    /// <returns>How many steps the life took.</returns>
    private static async Task<int> LiveAsync(int crashAt)
    {
        await using var node = new SimulatedNode();
        var count = 0;
        var crashed = false;
        void Crash(Guid instance, StepKind step)
        {
            if (Interlocked.Increment(ref count) == crashAt)
            {
                crashed = true;
                throw new SimulatedCrashException();
            }
        }
        await node.RestartAsync(Crash);
        var spec = Specs.Running(ports: 1, volumes: 1);
        InstanceSpec Volume(InstanceSpec now) => now.Next() with { Volumes = [.. now.Volumes, Specs.Volume(1, 7)] };
        Func<InstanceSpec, InstanceSpec>[] life =
        [
            now => now,
            Volume,
            now => now.Next() with { Ports = [.. now.Ports, Specs.Port(1, 1)] },
            now => now.Next() with { RebootNonce = 1, RebootType = RebootType.Soft },
            now => now.Next(DesiredState.Paused),
            now => now.Next(DesiredState.Suspended),
            now => now.Next(DesiredState.Running),
            now => now.Next() with { Volumes = [.. now.Volumes.Take(1)], Ports = [.. now.Ports.Take(1)] },
            now => now.Next(DesiredState.Stopped),
            now => now.Next(DesiredState.Running),
            now => now.Next(DesiredState.Deleted),
        ];
        foreach (var next in life)
        {
            spec = next(spec);
            node.Agent.Apply(spec);
            while (true)
            {
                var settled = node.SettledAsync(spec);
                while (!settled.IsCompleted && !crashed)
                {
                    await Task.Delay(1);
                }
                if (!crashed)
                {
                    await settled;
                    break;
                }
                crashed = false;
                await node.RestartAsync(Crash);
                node.Agent.Apply(spec);
            }
            var machine = node.World.Machines.GetValueOrDefault(spec.Id);
            Assert.Equal(spec.Desired is DesiredState.Running or DesiredState.Paused, machine?.Up ?? false);
            if (machine is { Up: true })
            {
                Assert.Equal(spec.Desired == DesiredState.Running ? RunState.Running : RunState.Paused, machine.State);
                Assert.True(machine.Volumes.SetEquals(spec.Volumes.Select(volume => volume.AttachmentId)));
                Assert.True(machine.Ports.SetEquals(spec.Ports.Select(port => port.Id)));
            }
        }
        Assert.Empty(node.World.Machines);
        var launches = node.World.History.Count(entry => entry.What == "launch");
        var restores = node.World.History.Count(entry => entry.What == "restore");
        Assert.Equal((4, 1), (launches, restores));
        return count;
    }
}
