using System.Collections.Concurrent;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;

namespace Nephos.Kernel.Reconciliation;

/// <summary>Every reconciler of the process, for status pages.</summary>
public sealed class ReconcilerRegistry
{
    private readonly ConcurrentDictionary<string, Reconciler> _reconcilers = new(StringComparer.Ordinal);

    /// <summary>The status of each, by name.</summary>
    public IReadOnlyList<ReconcilerStatus> List() =>
        [.. _reconcilers.Values.Select(reconciler => reconciler.Status).OrderBy(status => status.Name, StringComparer.Ordinal)];

    /// <summary>Asks the named one for a pass soon.</summary>
    /// <returns>False when there is none of that name.</returns>
    public bool Nudge(string name)
    {
        if (!_reconcilers.TryGetValue(name, out var reconciler))
        {
            return false;
        }

        reconciler.Nudge();
        return true;
    }

    internal void Add(Reconciler reconciler)
    {
        if (!_reconcilers.TryAdd(reconciler.Name, reconciler))
        {
            throw new InvalidOperationException($"There are two reconcilers named {reconciler.Name}.");
        }
    }
}

public static class ReconcilerRegistration
{
    /// <summary>Adds a reconciler as a singleton, so that services can nudge it, which the host runs.</summary>
    public static IServiceCollection AddReconciler<T>(this IServiceCollection services)
        where T : Reconciler
    {
        services.TryAddSingleton<ReconcilerRegistry>();
        services.AddSingleton<T>();
        services.AddHostedService(provider => provider.GetRequiredService<T>());
        return services;
    }
}
