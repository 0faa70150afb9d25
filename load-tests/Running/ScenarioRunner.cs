using System.Diagnostics;

namespace Nephos.LoadTests.Running;

/// <summary>Runs the simulations of a scenario one after the other.</summary>
public sealed class ScenarioRunner
{
    /// <summary>Open iterations that may be in flight; beyond it arrivals count as failed.</summary>
    private const int MaxInFlight = 10_000;

    private long _iteration;

    public async Task<ScenarioStats> RunAsync(Scenario scenario, CancellationToken cancellationToken)
    {
        try
        {
            await scenario.Initialize(cancellationToken);
            if (scenario.WarmUp > TimeSpan.Zero)
            {
                await SimulateAsync(scenario, scenario.Simulations[0] with { During = scenario.WarmUp }, new ScenarioStats(), Stopwatch.StartNew(), cancellationToken);
            }
            var stats = new ScenarioStats();
            var cpu = scenario.Server?.CpuTime();
            var clock = Stopwatch.StartNew();
            foreach (var simulation in scenario.Simulations)
            {
                await SimulateAsync(scenario, simulation, stats, clock, cancellationToken);
            }
            stats.Duration = clock.Elapsed;
            stats.ServerCpu = scenario.Server?.CpuTime() - cpu;
            return stats;
        }
        finally
        {
            await scenario.Clean(CancellationToken.None);
        }
    }

    private Task SimulateAsync(
        Scenario scenario, LoadSimulation simulation, ScenarioStats stats, Stopwatch clock, CancellationToken cancellationToken) => simulation switch
    {
        LoadSimulation.KeepConstant constant => ClosedAsync(scenario, constant.Copies, _ => TimeSpan.Zero, constant.During, stats, clock, cancellationToken),
        LoadSimulation.RampingConstant ramp => ClosedAsync(
            scenario, ramp.Copies, copy => ramp.During * ((double)copy / ramp.Copies), ramp.During, stats, clock, cancellationToken),
        LoadSimulation.Inject inject => OpenAsync(scenario, at => inject.Rate * at.TotalSeconds, inject.During, stats, clock, cancellationToken),
        LoadSimulation.RampingInject ramp => OpenAsync(
            scenario, at => ramp.Rate * at.TotalSeconds * at.TotalSeconds / (2 * ramp.During.TotalSeconds), ramp.During, stats, clock, cancellationToken),
        _ => throw new InvalidOperationException($"There is no simulation {simulation}."),
    };

    private async Task ClosedAsync(
        Scenario scenario, int copies, Func<int, TimeSpan> delay, TimeSpan during, ScenarioStats stats, Stopwatch clock, CancellationToken cancellationToken)
    {
        var end = clock.Elapsed + during;
        await Task.WhenAll(Enumerable.Range(0, copies).Select(copy => Task.Run(
            async () =>
            {
                await Task.Delay(delay(copy), cancellationToken);
                while (clock.Elapsed < end && !cancellationToken.IsCancellationRequested)
                {
                    await IterateAsync(scenario, copy, stats, clock, clock.Elapsed, cancellationToken);
                }
            },
            cancellationToken)));
    }

    /// <param name="due">How many iterations should have begun at a time.</param>
    private async Task OpenAsync(
        Scenario scenario, Func<TimeSpan, double> due, TimeSpan during, ScenarioStats stats, Stopwatch clock, CancellationToken cancellationToken)
    {
        var start = clock.Elapsed;
        var begun = 0L;
        var inFlight = 0;
        var running = new List<Task>();
        using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(1));
        while (clock.Elapsed - start < during && await timer.WaitForNextTickAsync(cancellationToken))
        {
            for (; begun < due(clock.Elapsed - start); begun++)
            {
                if (Volatile.Read(ref inFlight) >= MaxInFlight)
                {
                    stats.Record(clock.Elapsed, TimeSpan.Zero, Response.Fail("more iterations in flight than the runner allows"));
                    continue;
                }
                Interlocked.Increment(ref inFlight);
                // Latency counts from the time the iteration was due, so that a stalled server cannot hide its queue.
                var arrival = clock.Elapsed;
                running.Add(Task.Run(
                    async () =>
                    {
                        await IterateAsync(scenario, 0, stats, clock, arrival, cancellationToken);
                        Interlocked.Decrement(ref inFlight);
                    },
                    cancellationToken));
            }
            running.RemoveAll(task => task.IsCompletedSuccessfully);
        }
        await Task.WhenAll(running);
    }

    private async Task IterateAsync(
        Scenario scenario, int copy, ScenarioStats stats, Stopwatch clock, TimeSpan arrival, CancellationToken cancellationToken)
    {
        Response response;
        try
        {
            response = await scenario.Run(new ScenarioContext(copy, Interlocked.Increment(ref _iteration) - 1, cancellationToken));
        }
        catch (Exception exception) when (exception is not OperationCanceledException || !cancellationToken.IsCancellationRequested)
        {
            response = Response.Fail($"{exception.GetType().Name}: {exception.Message}");
        }
        stats.Record(clock.Elapsed, clock.Elapsed - arrival, response);
    }
}
