#pragma once
#include "cli/session.h"

// One function a command, each in a file of its own; offerctl.cc has the table.
namespace offerd::cli {

void AddImport(CLI::App& app, Session& session);
void AddRank(CLI::App& app, Session& session);
void AddRecommend(CLI::App& app, Session& session);
void AddFeedback(CLI::App& app, Session& session);
void AddPlacement(CLI::App& app, Session& session);
void AddPolicy(CLI::App& app, Session& session);
void AddPolicyEvaluate(CLI::App& policy, Session& session);
void AddPolicyReleases(CLI::App& policy, Session& session);
void AddLog(CLI::App& app, Session& session);
void AddSnapshot(CLI::App& app, Session& session);
void AddSnapshotRestore(CLI::App& snapshot, Session& session);
void AddReplay(CLI::App& app, Session& session);
void AddStatus(CLI::App& app, Session& session);
void AddTop(CLI::App& app, Session& session);
void AddPlay(CLI::App& app, Session& session);
void AddEvaluate(CLI::App& app, Session& session);
void AddLearn(CLI::App& app, Session& session);
void AddSimulate(CLI::App& app, Session& session);
void AddTune(CLI::App& app, Session& session);
void AddBuild(CLI::App& app, Session& session);
void AddTable(CLI::App& app, Session& session);

}  // namespace offerd::cli
