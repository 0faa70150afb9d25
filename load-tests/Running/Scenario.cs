namespace Nephos.LoadTests.Running;

/// <summary>One kind of load: what one iteration does, and how many run when.</summary>
/// <param name="Name">As reports show it.</param>
/// <param name="Initialize">Runs once before the load: makes what the iterations need.</param>
/// <param name="Run">One iteration of one copy. Throwing, or answering a failure, counts as failed.</param>
/// <param name="Clean">Runs once after the load, also when it failed.</param>
public sealed record Scenario(
    string Name,
    Func<CancellationToken, Task> Initialize,
    Func<ScenarioContext, Task<Response>> Run,
    Func<CancellationToken, Task> Clean,
    IReadOnlyList<LoadSimulation> Simulations)
{
    /// <summary>Iterations before the measured ones, with the first simulation's copies.</summary>
    public TimeSpan WarmUp { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>Who does the work; null when its processes are not on this machine or not known.</summary>
    public required IProcessorTime? Server { get; init; }
}

/// <summary>What an iteration knows of itself.</summary>
/// <param name="Copy">0-based number of the copy, stable over its iterations in the closed model.</param>
/// <param name="Iteration">Counts from 0 over the whole scenario.</param>
public readonly record struct ScenarioContext(int Copy, long Iteration, CancellationToken Cancelled);

/// <summary>How an iteration ended.</summary>
/// <param name="SizeBytes">Payload moved, for throughput.</param>
public readonly record struct Response(bool IsError, long SizeBytes, string Message)
{
    public static Response Ok(long sizeBytes = 0) => new(false, sizeBytes, "");

    public static Response Fail(string message) => new(true, 0, message);
}

/// <summary>How load arrives over time. Open model: iterations start at a rate, however slow the answers; closed: copies wait for their own.</summary>
public abstract record LoadSimulation(TimeSpan During)
{
    /// <summary>Open model, constant rate a second.</summary>
    public sealed record Inject(double Rate, TimeSpan During) : LoadSimulation(During);

    /// <summary>Open model, from no load to the rate in a straight line.</summary>
    public sealed record RampingInject(double Rate, TimeSpan During) : LoadSimulation(During);

    /// <summary>Closed model, so many copies at all times.</summary>
    public sealed record KeepConstant(int Copies, TimeSpan During) : LoadSimulation(During);

    /// <summary>Closed model, from one copy to so many in a straight line.</summary>
    public sealed record RampingConstant(int Copies, TimeSpan During) : LoadSimulation(During);
}
