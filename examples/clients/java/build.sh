mvn --quiet --batch-mode package dependency:copy-dependencies -DoutputDirectory=target/lib
