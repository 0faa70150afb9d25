using Microsoft.Extensions.Logging;

namespace Nephos.StorageEngine.Simulation.Machine;

/// <summary>Prints what the engine logs, with the simulated time in front; to look into one seed.</summary>
internal sealed class TraceLogs(Func<TimeSpan> now) : ILoggerFactory, ILogger
{
    public ILogger CreateLogger(string categoryName) => this;

    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    public bool IsEnabled(LogLevel logLevel) => true;

    public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
        Console.WriteLine($"{now().TotalSeconds,10:f4} {formatter(state, exception)} {exception?.Message}");

    public void AddProvider(ILoggerProvider provider)
    {
    }

    public void Dispose()
    {
    }
}
