using System.Diagnostics;
using System.Reflection;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Nephos.Kernel.State;

namespace Nephos.Hosting;

/// <summary>The tables of the roles of this process.</summary>
public static class StateTables
{
    /// <summary>Names the assembly whose static fields hold the tables of a role; their indexes are brought up to date before it starts.</summary>
    public static IServiceCollection AddStateTables(this IServiceCollection services, Assembly assembly) =>
        services.AddSingleton(new StateTablesOf(assembly));

    internal static IReadOnlyList<TableSchema> In(Assembly assembly) =>
    [
        .. assembly.GetTypes().Where(type => !type.ContainsGenericParameters)
            .SelectMany(type => type.GetFields(BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.DeclaredOnly))
            .Where(field => typeof(TableSchema).IsAssignableFrom(field.FieldType))
            .Select(field => (TableSchema)field.GetValue(null)!),
    ];
}

internal sealed record StateTablesOf(Assembly Assembly);

/// <summary>Fills indexes that were added since records were written. The first to start, so that nobody uses a table before.</summary>
internal sealed partial class StateTablesUpkeep(IStateStore store, IEnumerable<StateTablesOf> tables, ILogger<StateTablesUpkeep> logger) : IHostedService
{
    public async Task StartAsync(CancellationToken cancellationToken)
    {
        var began = Stopwatch.GetTimestamp();
        var schemas = tables.Select(of => of.Assembly).Distinct().SelectMany(StateTables.In).ToList();
        if (schemas.Count > 0 && await store.ReconcileAsync(schemas, cancellationToken) is > 0 and var changed)
        {
            LogChanged(changed, Stopwatch.GetElapsedTime(began).TotalSeconds);
        }
    }

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    [LoggerMessage(LogLevel.Information, "Brought indexes up to date: {Entries} entries in {Seconds:0.0} s")]
    private partial void LogChanged(int entries, double seconds);
}
